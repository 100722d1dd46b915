"""Patterns of rules: fnmatch and regex, as a test and as what an index needs to find them among many (pure).

Both work on bytes. Regular expressions are Python's; those that RE2 reads the same way are run by RE2, in which no
expression takes longer than the text is long, so that no author can stop the switch with one. The others (look-around,
back-references, many repetitions of repetitions) are run by ``re`` within a budget (``rule_budget.py``), and only where
RE2 finds something wider: what makes ``re`` compute for ever is mostly a value that does not match.
"""

from __future__ import annotations

import fnmatch
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mfdata.switch.multi_match import Literal, linear_search
from mfdata.switch.rule_budget import bounded_search


@dataclass(frozen=True)
class Pattern:
    """One compiled pattern."""

    #: Gives something true for the values that it matches. Raises OverBudget.
    matches: Callable[[bytes], object]
    #: Each is in every value that the pattern matches.
    literals: tuple[Literal, ...]
    #: The whole pattern for RE2, when there is such.
    re2: bytes | None
    #: An expression for RE2 that is found in every value that the pattern matches, and perhaps in others.
    wider: bytes | None = None
    #: What raises OverBudget, and names itself then.
    bounded: object = None


class PatternError(ValueError):
    """A pattern that cannot be compiled."""


def fnmatch_pattern(text: bytes) -> Pattern:
    """The pattern of Python's fnmatchcase: ``*``, ``?`` (one byte), ``[abc]``, ``[!abc]``.

    Raises:
        PatternError: a set holds a character that is several bytes.
    """
    parts = _FNMATCH_PART.findall(text)
    for part in parts:
        if len(part) > 1 and part.startswith(b"[") and not part.isascii():
            raise PatternError(_several_bytes(part))
    whole = b"" if any(part.startswith(b"[") for part in parts) else rb"\A" + b"".join(map(_re2_part, parts)) + rb"\z"
    # The way fnmatch itself takes to bytes; its translation never backtracks more than once a star.
    exact = re.compile(fnmatch.translate(text.decode("latin-1")).encode("latin-1")).match
    return Pattern(exact, tuple(_fnmatch_literals(parts)), whole or None)


def regex_pattern(text: bytes) -> Pattern:
    """The pattern of ``re.search``.

    Raises:
        PatternError: it is no regular expression, or a set says something else than it seems to.
    """
    tokens = _tokens(text)
    source = b"".join(tokens)
    try:
        with warnings.catch_warnings(action="ignore", category=FutureWarning):  # [[ is plain today
            exact = re.compile(source)
    except (re.error, OverflowError, RecursionError) as error:
        raise PatternError(str(error)) from None
    translated = _re2_source(tokens)
    safe = linear_search(translated) if translated is not None else None
    literals = tuple(_regex_literals(tokens))
    if safe is not None:
        return Pattern(safe, literals, translated, bounded=safe)
    search = bounded_search(exact.search)
    wider = _wider_source(tokens)
    may_match = linear_search(wider) if wider is not None else None
    if may_match is None:
        return Pattern(search, literals, None, bounded=search)
    return Pattern(lambda value: may_match(value) is not None and search(value), literals, None, wider, search)


def hard_construct(text: bytes) -> str:
    """What of the regular expression *text* RE2 cannot read, so that ``re`` has to run it; '' when there is nothing.

    Raises:
        PatternError: it is no regular expression.
    """
    if regex_pattern(text).re2 is not None:
        return ""
    tokens = _tokens(text)
    hard = (token for at, token in enumerate(tokens) if _re2_token(token, tokens[at + 1 :]) is None)
    found = next(hard, None)
    return found.decode("utf-8", "replace") if found else "what is repeated so many times"


def _several_bytes(part: bytes) -> str:
    shown = part.decode("utf-8", "replace")
    return f"{shown} holds a character that is several bytes, of which a set takes one: write (é|è) in a regex, or ?"


# ── fnmatch ────────────────────────────────────────────────────────────────────────────────────────────────────────

#: A set, a wildcard, plain text; an unclosed [ is plain.
_FNMATCH_PART = re.compile(rb"\[!?\]?[^\]]*\]|[*?]|[^*?\[]+|\[")


def _re2_part(part: bytes) -> bytes:
    return {b"*": b"(?s:.*)", b"?": b"(?s:.)"}.get(part) or re.escape(part)


def _fnmatch_literals(parts: list[bytes]) -> Iterator[Literal]:
    for position, part in enumerate(parts):
        if part not in (b"*", b"?") and not part.startswith(b"["):
            yield Literal(part, at_start=position == 0, at_end=position == len(parts) - 1)


# ── regex ──────────────────────────────────────────────────────────────────────────────────────────────────────────

_TOKEN = re.compile(
    rb"""
      \\[0-7]{1,3} | \\x.. | \\.          # an escape
    | \[\^?\]?(?:\\.|[^\]\\])*\]          # a set
    | \(\?\#[^)]*\)                       # a comment
    | \(\?P[<=>]\w*[>)]? | \(\?[a-zA-Z-]*[:)] | \(\?[<>=!]* | \(  # what opens a group, or flags
    | \{[0-9]*,?[0-9]*\}                  # a number of times
    | [\xc2-\xf4][\x80-\xbf]+             # a character of several bytes
    | .                                   # anything else is one byte
    """,
    re.VERBOSE | re.DOTALL,
)
_QUANTIFIERS = (b"*", b"+", b"?", b"{")


def _tokens(text: bytes) -> list[bytes]:
    """The pieces of a regular expression; a character of several bytes becomes one, so that é* repeats it whole."""
    tokens = []
    for token in _TOKEN.findall(text):
        if token.startswith(b"[") and b"[:" in token[1:]:
            raise PatternError(
                f"{token.decode('utf-8', 'replace')}: classes like [:alpha:] are not known, write [a-zA-Z]"
            )
        if not token.isascii():
            if token.startswith(b"["):
                raise PatternError(_several_bytes(token))
            if len(token) > 1 and not token.startswith((b"\\", b"(")):
                token = b"(?:" + token + b")"
        tokens.append(token)
    return tokens


def _re2_source(tokens: list[bytes]) -> bytes | None:
    """The expression that means to RE2 what *tokens* mean to Python, or None."""
    folds = any(_is_flags(token) and b"i" in token for token in tokens)
    if folds and not all(token.isascii() for token in tokens):
        return None  # RE2 would take single bytes for letters of Latin-1
    source = b""
    for position, token in enumerate(tokens):
        piece = _re2_token(token, tokens[position + 1 :])
        if piece is None:
            return None
        source += piece
    return source


def _re2_token(token: bytes, following: list[bytes]) -> bytes | None:
    if token == b"$":
        # Python's $ also stands before a newline at the end. RE2 can say so only where nothing is to follow.
        return rb"(?:\n?\z)" if _is_at_end(following) else None
    if token.startswith(b"["):
        return _re2_set(token)
    if token.startswith(b"\\"):
        return _ESCAPES.get(token, None if token[1:2] in b"0123456789bBAZ" else token)
    if token.startswith(b"{") and len(token) > 2:
        return b"{0" + token[1:] if token.startswith(b"{,") else token
    if token.startswith(b"(?"):
        return token if token.startswith((b"(?:", b"(?P<")) or _is_flags(token, b"is-") else None
    return token


#: What stands for anything, and for nothing, in a wider expression.
_ANYTHING, _NOTHING = rb"(?s:.*)", rb"(?:)"


def _wider_source(tokens: list[bytes]) -> bytes | None:
    """An expression for RE2 that is found wherever *tokens* are, and perhaps elsewhere; None when there is none."""
    source: list[bytes] = []
    skipped = 0  # depth within a look-around, which only narrows what matches
    for token in tokens:
        if skipped:
            skipped += _depth_change(token)
            if not skipped:
                source.append(_NOTHING)
        elif token.startswith((b"(?=", b"(?!", b"(?<=", b"(?<!")):
            skipped = 1
        elif token == b"+" and source and source[-1] in (b"+", b"*", b"?"):
            continue  # possessive: it only gives less back
        else:
            piece = _wider_token(token)
            if piece is None:
                return None
            source.append(piece)
    return b"".join(source)


def _wider_token(token: bytes) -> bytes | None:
    if token == b"$" or token.startswith(b"(?#"):
        return _NOTHING
    if token.startswith(b"["):
        return _re2_set(token) or rb"(?s:.)"
    if token.startswith(b"\\"):
        return _NOTHING if token == rb"\B" else _re2_token(token, []) or _ANYTHING
    if token.startswith(b"{") and len(token) > 2:
        return b"+" if token[1:2] in b"123456789" else b"*"
    if token.startswith(b"(?P="):
        return _ANYTHING
    if token == b"(?>":
        return b"(?:"
    return _re2_token(token, [])


def _is_at_end(following: list[bytes]) -> bool:
    """Whether nothing but ends of groups and other choices comes after this place."""
    depth, skipping = 0, False
    for token in following:
        if depth == 0 and token in (b")", b"|"):
            skipping = token == b"|"
            continue
        if not skipping:
            return False
        depth += _depth_change(token)
    return True


#: Escapes that both know by other names, or know the same.
_ESCAPES = {rb"\Z": rb"\z", rb"\A": rb"\A", rb"\b": rb"\b", rb"\s": rb"[\t-\r ]", rb"\S": rb"[^\t-\r ]"}


def _re2_set(token: bytes) -> bytes | None:
    if re.search(rb"\\[0-9bS\\]", token):
        return None
    return token.replace(rb"\s", rb"\t-\r ")


def _is_flags(token: bytes, known: bytes = b"aiLmsux-") -> bool:
    letters = token[2:-1]
    return token.startswith(b"(?") and token.endswith((b":", b")")) and letters != b"" and not letters.strip(known)


def _depth_change(token: bytes) -> int:
    return (token.startswith(b"(") and not token.endswith(b")")) - (token == b")")


def _regex_literals(tokens: list[bytes]) -> Iterator[Literal]:
    """Plain text that the value must hold, read off the top level of the expression."""
    if _has_top_level_choice(tokens) or any(_is_flags(token) for token in tokens):
        return
    depth, run, start = 0, b"", 0
    for position, token in enumerate([*tokens, b""]):
        plain = _plain(token) if depth == 0 else None
        following = tokens[position + 1 : position + 2]
        repeated = bool(following) and following[0].startswith(_QUANTIFIERS)
        if plain is not None and (not repeated or following == [b"+"]):
            start = start if run else position
            run += plain
        if run and (plain is None or repeated):
            yield Literal(run, at_start=start == 1 and tokens[0] in (b"^", rb"\A"))
            run = b""
        depth += _depth_change(token)


def _has_top_level_choice(tokens: list[bytes]) -> bool:
    depth = 0
    for token in tokens:
        depth += _depth_change(token)
        if token == b"|" and depth == 0:
            return True
    return False


def _plain(token: bytes) -> bytes | None:
    """The text that a token stands for when it stands for itself only."""
    if len(token) == 1 and token not in b"\\^$.|?*+()[]{}":
        return token
    if len(token) == 2 and token.startswith(b"\\") and not token[1:].isalnum() and token.isascii():
        return token[1:]
    return None
