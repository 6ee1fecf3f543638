"""Read JSON files that a user may have changed, damaged or swapped: the content, of the expected shape, or an error.

A shape is a type (`float` takes whole numbers too, `bool` is no number), a tuple of allowed shapes, `[shape]` for a
list, `{"key": shape, "other?": shape}` for a mapping with at least these keys (those with a question mark may be
absent), `{str: shape}` for one with any keys, or `object`.
"""

import json
import math
from pathlib import Path
from typing import Any

from zoo.errors import UserError

DEEPEST = 100  # levels; the configuration of a network has about twenty, a recursion ends at some hundred
LARGEST_BYTES = 256 * 2**20
_LARGEST_INT = 2**63
_NAMES = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", type(None): "null"}
_NAMES |= {dict: "a mapping", list: "a list"}


def read_json(path: Path, expected: str, shape: Any = object, advice: str = "Restore the file") -> Any:
    """Read a JSON file and check its shape (see above). `expected` says what it should be, as in "a run's figures".

    Raises UserError, which ends in `advice`, for a file that is absent or no regular one, cannot be read or decoded, is
    no JSON of RFC 8259 (NaN, Infinity), is nested beyond `DEEPEST` levels, or has another shape.
    """
    try:
        return parse_json(read_regular(path), shape)
    except OSError as error:
        raise UserError(f"{path}: expected {expected}, but {error.strerror or error}. {advice}") from error
    except ValueError as error:
        raise UserError(f"{path}: expected {expected}, found {error}. {advice}") from error


def read_regular(path: Path) -> bytes:
    """Read a small file. Raises ValueError for a folder, a pipe, a device or a large file, OSError as opening does."""
    if path.exists() and not path.is_file():
        raise ValueError("a folder" if path.is_dir() else "no regular file")
    if (size := path.stat().st_size) > LARGEST_BYTES:
        raise ValueError(f"a file of {size} bytes")
    return path.read_bytes()


def parse_json(text: str | bytes, shape: Any = object) -> Any:
    """Decode JSON (bytes in UTF-8, 16 or 32) and check its shape. Raises ValueError, which says what was found."""
    try:
        content = json.loads(text, parse_constant=_refuse, parse_float=_finite, parse_int=_whole)
    except RecursionError:
        raise ValueError(f"values nested deeper than {DEEPEST} levels") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"no text ({error})") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"no JSON ({error})") from error
    _check_depth(content)
    if found := _misfit(content, shape):
        raise ValueError(found)
    return content


def _refuse(name: str) -> None:
    raise ValueError(f"{name}, which is no JSON")


def _finite(digits: str) -> float:
    if not math.isfinite(value := float(digits)):
        raise ValueError(f"{digits}, which is no finite number")
    return value


def _whole(digits: str) -> int:
    if len(digits) > 20 or not -_LARGEST_INT <= int(digits) < _LARGEST_INT:
        raise ValueError(f"a number of {len(digits)} digits, beyond 64 bits")
    return int(digits)


def _check_depth(content: Any) -> None:
    level = [content]
    for _ in range(DEEPEST):
        inner = [item.values() if isinstance(item, dict) else item for item in level if isinstance(item, (dict, list))]
        level = [value for values in inner for value in values]
        if not level:
            return
    raise ValueError(f"values nested deeper than {DEEPEST} levels")


def document(content: Any) -> str:
    """Return content as one indented JSON document, with a line feed; numbers that are not finite become null."""
    return json.dumps(_without_nan(content), indent=2, allow_nan=False) + "\n"


def _without_nan(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _without_nan(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_without_nan(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def _misfit(value: Any, shape: Any, where: str = "") -> str:
    """Say in what a value is not of a shape, or nothing. `where` is the path of keys to it."""
    if isinstance(shape, tuple):
        misfits = [_misfit(value, one, where) for one in shape]
        return "" if "" in misfits else misfits[0]
    kind = type(shape) if isinstance(shape, (dict, list)) else shape
    if kind is not object and type(value) is not kind and not (kind is float and type(value) is int):
        return f"{_NAMES[type(value)]}{f' in {where!r}' if where else ''}, not {_NAMES[kind]}"
    pairs: list[tuple[str, Any, Any]] = []
    if isinstance(shape, list):
        pairs = [(f"{where}[{number}]", item, shape[0]) for number, item in enumerate(value)]
    elif isinstance(shape, dict) and str in shape:
        pairs = [(f"{where}.{key}", item, shape[str]) for key, item in value.items()]
    elif isinstance(shape, dict):
        if absent := [key for key in shape if not key.endswith("?") and key not in value]:
            return f"{f'{where!r}' if where else 'a mapping'} without {', '.join(absent)}"
        named = {key.removesuffix("?"): one for key, one in shape.items()}
        pairs = [(f"{where}.{key}", value[key], one) for key, one in named.items() if key in value]
    return next((found for name, item, one in pairs if (found := _misfit(item, one, name.lstrip(".")))), "")
