"""Make text of others, such as names of files, safe to show on a terminal and to put into a spreadsheet."""

import re
import unicodedata
from typing import Any

# Control (C0, C1), formatting such as bidirectional overrides, bytes that are no UTF-8, separators of lines.
_ACTING = ("Cc", "Cf", "Cs", "Zl", "Zp")
_JOINERS = "\u200c\u200d"  # formatting, but parts of words in Persian and of emoji, without effect beyond them
# What spreadsheets take for a formula, full-width too, and the apostrophe itself, so that no two texts become one cell.
_RISKY = tuple("=+-@\uff1d\uff0b\uff0d\uff20\t\r\n'")

_ESCAPE = re.compile(r"\\(\\|[tnr]|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})")
_SHORT = {"\\": "\\", "t": "\t", "n": "\n", "r": "\r"}


def printable(text: str) -> str:
    r"""Return text in which characters that act on a terminal are escaped as Python does: \x1b, \n, \u202e, \udcff.

    Bytes of a file name that are no UTF-8 are such characters (surrogates). A backslash stays as it is.
    """
    if text.isprintable():
        return text
    return "".join(_escaped(character) if _acts(character) else character for character in text)


def cell(value: Any) -> Any:
    r"""Return a value for a CSV that is safe in a spreadsheet, on one line and valid UTF-8; other types than str stay.

    Text that begins like a formula, and text with characters that `printable` escapes, becomes an apostrophe and the
    text with these escaped and backslashes doubled: '=1+1, 'two\nlines. So no two texts become one cell, and what
    follows the apostrophe, read as a Python string, is the text.
    """
    if not isinstance(value, str) or not (value.startswith(_RISKY) or printable(value) != value):
        return value
    return "'" + printable(value.replace("\\", "\\\\"))


def original(value: Any) -> Any:
    """Return the text of which `cell` made this one; other types, such as None for a line too short, as they are."""
    if not (isinstance(value, str) and value.startswith("'")):
        return value
    return _ESCAPE.sub(lambda found: _SHORT.get(found[1]) or chr(int(found[1][1:], 16)), value[1:])


def _acts(character: str) -> bool:
    return not character.isprintable() and unicodedata.category(character) in _ACTING and character not in _JOINERS


def _escaped(character: str) -> str:
    return ascii(character)[1:-1]


def as_started(program: str, text: str) -> str:
    """Return text with commands named as the user starts them: `ser train` in place of python scripts/train.py.

    `program` is how this process was started, as argparse has it.
    """
    if not program.startswith("ser "):
        return text
    return re.sub(r"(?:python )?scripts/(\w+)\.py", lambda found: f"ser {found[1].replace('_', '-')}", text)


def file_name(text: str) -> str:
    """Return text as a part of a file's name: letters, digits, dots and hyphens, at most 60, the last ones.

    >>> file_name("../nemo/data.tsv")
    'nemo_data.tsv'
    """
    return re.sub(r"[^\w.-]+", "_", text)[-60:].strip("._") or "unnamed"
