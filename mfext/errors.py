"""Errors that speak to a person: where, what was found, what was expected, the mend."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = [
    "ConfigError",
    "Conflict",
    "InternalError",
    "MetworkError",
    "NotAllowed",
    "PluginError",
    "ServiceUnavailable",
    "Several",
    "UsageError",
    "raise_all",
]


class MetworkError(Exception):
    """Something went wrong."""

    #: Exit status of a command that ends with this error, from 1 to 255.
    exit_code: int = 1

    def __init__(self, found: str = "", *, where: str = "", expected: str = "", mend: str = "") -> None:
        """An error of one sentence a part.

        Args:
            found: what is wrong, without a full stop; by default the docstring of the class.
            where: file and line, key or path that is wrong, which comes first.
            expected: what would be right, which follows the word "expected".
            mend: what to do about it, as one or more whole sentences.
        """
        self.where = where
        self.found = found or (type(self).__doc__ or "").strip()
        self.expected = expected
        self.mend = mend
        super().__init__(self.message)

    @property
    def message(self) -> str:
        """The whole message as text, one sentence a part, without a newline at its end."""
        text = f"{self.where}: {self.found}" if self.where else self.found
        if self.expected:
            text += f"; expected {self.expected}"
        if self.mend:
            # What quotes several lines ends with one of them.
            text += f"\n{self.mend}" if "\n" in text else f". {self.mend}"
        return text


class UsageError(MetworkError):
    """The command was called in a way it does not understand."""

    exit_code = 2


class ConfigError(MetworkError):
    """A configuration file must be mended."""

    exit_code = 3


class PluginError(MetworkError):
    """A plugin must be mended."""

    exit_code = 4


class ServiceUnavailable(MetworkError):
    """Something that must run does not."""

    exit_code = 5


class Conflict(MetworkError):
    """Somebody else holds what is needed."""

    exit_code = 6


class NotAllowed(MetworkError):
    """The user who runs this may not do it."""

    exit_code = 7


class InternalError(MetworkError):
    """A fault of MetWork itself: please report it."""

    exit_code = 70


class Several(MetworkError):
    """Several errors found in one go, one a line."""

    def __init__(self, errors: Iterable[MetworkError]) -> None:
        """All *errors* as one, with the exit status of the first.

        Args:
            errors: one at least.
        """
        self.errors = tuple(errors)
        super().__init__("\n".join(error.message for error in self.errors))
        self.exit_code = self.errors[0].exit_code


def raise_all(errors: list[MetworkError]) -> None:
    """Raise the *errors* that were collected: nothing, the one error, or all of them together.

    Args:
        errors: in the order in which a person should read them.

    Raises:
        MetworkError: there is one.
        Several: there are more.
    """
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise Several(errors)


def singly(error: MetworkError) -> tuple[MetworkError, ...]:
    """Each of the errors that *error* stands for."""
    return error.errors if isinstance(error, Several) else (error,)


def retold(error: MetworkError, place: object, other: object) -> MetworkError:
    """*error* as one of *other*, which a person knows, where *place* is what we made of it."""
    told = [type(one)(one.message.replace(str(place), str(other))) for one in singly(error)]
    return told[0] if len(told) == 1 else Several(told)


#: So many known words are listed; of more, so many that are most like the one that was given.
_LISTED, _LIKE = 25, 5


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint that names the known word most like *word*, or lists the known ones; '' when none is known.

    Of more than a line can hold it names those most like it.
    """
    import difflib  # seldom needed, and every process of ours would pay for it

    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f'Did you mean "{close[0]}"?'
    if len(names) > _LISTED:
        like = difflib.get_close_matches(word, names, n=_LIKE, cutoff=0)
        return f"Most like it, of {len(names)}: {', '.join(like)}."
    return f"Known: {', '.join(names)}." if names else ""
