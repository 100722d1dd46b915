"""Conditions over a file's tags: a small, checked part of Python's expressions (pure).

``x['first.core.original_basename'].startswith(b'A') and int(x['latest.switch.main.size']) > 100``

The text is parsed once and every piece of it is checked before anything runs: only what stands in the tables below
is let through, and each piece has a known kind (bytes, str, int, …), so that a condition which could never hold, such
as a comparison of bytes with a str, is refused instead of being false for ever. There are no loops and nothing that
makes a value grow by more than its own text; what is left, long tags joined many times over, ends with the budget that
all rules have for one file (``rule_budget.py``).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass

from mfdata.switch.expression_types import FUNCTIONS, Checker, Refused
from mfdata.switch.multi_match import Literal
from mfext.errors import ConfigError

#: Gives the value of a tag, or the second argument when the file has no such tag.
Get = Callable[[str, bytes], bytes]

MAX_LENGTH = 10_000
MAX_NODES = 1_000
_SINGLE_EQUAL = re.compile(r"(?<![=!<>:])=(?!=)")


@dataclass(frozen=True)
class Condition:
    """A compiled condition."""

    text: str
    #: Names of the tags that it may ask for, in the order of the text.
    tags: tuple[str, ...]
    #: Raises what the expression raises: ValueError (``int(b'x')``), IndexError, UnicodeError.
    holds: Callable[[Get], bool]
    #: The tag that is asked for first of all, and a text that is in its value whenever the condition holds.
    prefilter: tuple[str, Literal] | None = None


def compile_condition(text: str, where: str = "") -> Condition:
    """The condition that *text* says.

    Raises:
        ConfigError: it is not Python, or holds a piece that conditions may not hold; the message shows the piece.
    """
    line = " ".join(text.split("\n")).strip()
    try:
        body = _parse(line).body
        checker = Checker()
        checker.truth(body)
        prefilter = _prefilter(body)  # before the tree is rewritten
        return Condition(line, tuple(dict.fromkeys(checker.tags)), _compiled(body), prefilter)
    except Refused as refusal:
        found = f"{_piece(line, refusal.node)}: {refusal.found}" if refusal.node else refusal.found
        raise ConfigError(found, where=where, mend=refusal.mend) from None


def _parse(line: str) -> ast.Expression:
    if not line:
        raise Refused(None, "the condition is empty", "Write True to take every file, False to take none.")
    if len(line) > MAX_LENGTH:
        raise Refused(None, f"the condition has {len(line)} characters, more than {MAX_LENGTH}")
    try:
        tree = ast.parse(line, mode="eval")
    except SyntaxError as error:
        near = f' near "{_shortened(line[max(0, (error.offset or 1) - 10) :], 30)}"'
        mend = "Write == to compare." if _SINGLE_EQUAL.search(line) else ""
        raise Refused(None, f"the condition is not a Python expression: {error.msg}{near}", mend) from None
    except (ValueError, MemoryError, RecursionError) as error:
        raise Refused(None, f"the condition cannot be read: {error or 'too deep'}") from None
    if sum(1 for _ in ast.walk(tree)) > MAX_NODES:
        raise Refused(None, f"the condition has more than {MAX_NODES} pieces", "Split it into several rules.")
    return tree


def _piece(line: str, node: ast.expr) -> str:
    # Offsets of the parser count UTF-8 bytes.
    return _shortened(line.encode()[node.col_offset : node.end_col_offset].decode(errors="replace"))


def _shortened(text: str, length: int = 80) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _prefilter(node: ast.expr) -> tuple[str, Literal] | None:
    """What the first part of an expression, if that is simple, says must be in the value of a tag."""
    match node:
        case ast.BoolOp(ast.And(), [first, *_]):
            return _prefilter(first)
        case ast.Call(
            ast.Attribute(ast.Subscript(ast.Name("x"), ast.Constant(str(tag))), method), [ast.Constant(bytes(text))]
        ):
            if text and method in ("startswith", "endswith"):
                return tag, Literal(text, at_start=method == "startswith", at_end=method == "endswith")
        case ast.Compare(ast.Constant(bytes(text)), [ast.In()], [ast.Subscript(ast.Name("x"), ast.Constant(str(tag)))]):
            return (tag, Literal(text)) if text else None
        case ast.Compare(ast.Subscript(ast.Name("x"), ast.Constant(str(tag))), [ast.Eq()], [ast.Constant(bytes(text))]):
            return tag, Literal(text, at_start=True, at_end=True)
    return None


class _Rewriter(ast.NodeTransformer):
    """Makes ``x['tag']`` a call of *get* with b'' for a missing tag, and lists tuples (startswith takes no list)."""

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        if isinstance(node.value, ast.Name) and node.value.id == "x":
            arguments: list[ast.expr] = [node.slice, ast.Constant(b"")]
            return ast.Call(ast.Name("x", ast.Load()), arguments, [])
        return self.generic_visit(node)

    def visit_List(self, node: ast.List) -> ast.AST:
        return self.generic_visit(ast.Tuple(node.elts, ast.Load()))


def _compiled(body: ast.expr) -> Callable[[Get], bool]:
    arguments = ast.arguments(posonlyargs=[], args=[ast.arg("x")], kwonlyargs=[], kw_defaults=[], defaults=[])
    tree = ast.Expression(ast.Lambda(arguments, _Rewriter().visit(body)))
    code = compile(ast.fix_missing_locations(tree), "<condition>", "eval")
    # Only what Checker let through is in this code, and it sees no builtins but the listed functions.
    holds: Callable[[Get], bool] = eval(code, {"__builtins__": {}, **FUNCTIONS})  # noqa: S307  # nosec B307
    return holds
