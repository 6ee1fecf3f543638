"""Raise UserError for a mistake of the user's, the only exception a user may cause.

Scripts turn it into one message on standard error and exit code 2; everything else is a bug and keeps its traceback.
"""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path


class UserError(Exception):
    """Names the file or option, what was expected, what was found, and what to do.

    The message is one line: a line feed in it, as from the name of a file, is shown escaped. `lines` follow below it,
    such as the layout of a corpus.
    """

    def __init__(self, message: str, lines: str = ""):
        super().__init__(f"{message}\n{lines}" if lines else message)
        self.message, self.lines = message, lines


class DivergedError(UserError):
    """Training whose loss, or whose network's outputs, are not finite."""


class OptionError(ValueError):
    """Names an option of a network's builder, what was expected of it, and what was found."""


def unknown(kind: str, name: str, known: Iterable[str]) -> UserError:
    """Return the error for a name that is not in a table, e.g. `unknown("model", "fnc", MODELS)`."""
    known = sorted(known)
    return UserError(f"unknown {kind} {name!r}.{did_you_mean(name, known)} Known: {', '.join(known)}")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'fcn'?" for the known name nearest to `name`, or nothing where none is near.

    >>> did_you_mean("TRIAN", ["train", "tune"])
    " Did you mean 'train'?"
    """
    by_case = {one.casefold(): one for one in known}
    near = get_close_matches(str(name).casefold(), by_case, n=1)  # of a file, it may be no text
    return f" Did you mean {by_case[near[0]]!r}?" if near else ""


def spelt(name: str, known: Iterable[str]) -> str:
    """Return the known name that `name` is but for capitals, or `name` itself where there is none, or several.

    >>> spelt("RAVDESS", ["ravdess", "emodb"])
    'ravdess'
    """
    if not isinstance(name, str):  # as in a file that was changed by hand
        return name
    known = list(known)
    same = [one for one in known if one.casefold() == name.casefold()]
    return same[0] if len(same) == 1 and name not in known else name


def missing(place: Path) -> str:
    """Return "no such folder", with the name that lies beside it and is nearest, for a message on a path."""
    beside = place.parent.iterdir() if place.parent.is_dir() else ()
    return f"no such folder.{did_you_mean(place.name, (one.name for one in beside))}".removesuffix(".")


def shortened(names: Sequence[str]) -> str:
    """Return the first five names, and how many more there are, for a message."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
