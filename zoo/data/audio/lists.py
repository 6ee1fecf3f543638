"""Read lists of file names, whatever their encoding and whatever ends a name."""

import codecs
import re
from typing import BinaryIO

from zoo.data.audio.formats import HEAD_BYTES, container_of
from zoo.errors import UserError

_MOST_BYTES = 1 << 30
_MARKS = {  # the longer first: that of UTF-32 begins as that of UTF-16
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_CONTROL = re.compile(r"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]")  # no text holds these, but names may
_MOST_CONTROL = 0.05  # of a list's characters
_JUDGED = 65_536  # bytes or characters that tell what the content is
_LATIN_SHARE = 0.4  # at least, of characters below U+0100 in UTF-16 without a mark: slashes, suffixes, ends of lines


def names_in(list_: BinaryIO, source: str) -> list[str]:
    r"""Return the names in a list, one a line or, as by `find -print0`, each ended by NUL; empty ones are left out.

    UTF-8 and UTF-16 with or without a byte-order mark, UTF-32 with one; bytes that are no UTF-8 become surrogates, as
    in Python's names of files. Lines end by \n, \r\n or, where there is none of these, \r.

    Raises UserError for what is no list, such as a recording, for one of more than 1 GiB and one that cannot be read;
    `source` is what the message calls it.
    """
    try:
        content = list_.read(_MOST_BYTES + 1)
    except OSError as error:
        raise UserError(f"{source}: cannot be read ({error.strerror})") from error
    if len(content) > _MOST_BYTES:
        raise UserError(f"{source}: expected names of audio files, found more than {_MOST_BYTES >> 30} GiB. Divide it")
    kind, text = container_of(content[:HEAD_BYTES]), _decoded(content, source)
    shown = len(_CONTROL.findall(text, 0, _JUDGED))
    if shown and (kind or shown > _MOST_CONTROL * min(len(text), _JUDGED)):
        what = kind or f"data that is no text, beginning {content[:16]!r}"
        raise UserError(f"{source}: expected names of audio files, one a line, found {what}. Give the list's own name")
    if text.endswith("\0") or ("\0" in text and "\n" not in text):
        return list(filter(None, text.split("\0")))
    lines = text.split("\n") if "\n" in text else text.split("\r")
    return list(filter(None, (line.rstrip("\r") for line in lines)))


def _decoded(content: bytes, source: str) -> str:
    encoding = next((name for mark, name in _MARKS.items() if content.startswith(mark)), None) or _without_mark(content)
    if encoding is None:
        return content.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape")
    try:
        return content.decode(encoding, "surrogatepass")  # Windows has names with half a character
    except UnicodeDecodeError as error:
        raise UserError(
            f"{source}: expected a list in {encoding.upper()}, found {error.reason}. Save it anew"
        ) from error


def _without_mark(content: bytes) -> str | None:
    """Return the UTF-16 that NULs at every other byte show."""
    even, odd = content[:_JUDGED:2], content[1:_JUDGED:2]
    for name, high, low in (("utf-16-le", odd, even), ("utf-16-be", even, odd)):
        latin = high.count(0)
        if len(content) % 2 == 0 and latin > _LATIN_SHARE * len(high) and low.count(0) < latin / 4:  # U+3000 has one
            return name
    return None
