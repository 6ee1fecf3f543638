"""Write pages of one file: templates with everything escaped, styles, programs and pictures inside, nothing outside.

A browser that opens one asks no network for anything: its policy (Content-Security-Policy) forbids it, and allows no
program but those whose checksums it names.
"""

import base64
import json
from datetime import datetime, timezone
from functools import cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.reports.tables import percent
from zoo.utils.atomic_files import written_aside
from zoo.utils.text import printable
from zoo.version import __version__

if TYPE_CHECKING:
    from jinja2 import Environment

# Okabe and Ito 2008, "Color universal design": eight colours that colour-blind people tell apart. Of emotions usual in
# corpora the same one on every page; others take what is left, in order.
_COLORS = {
    "neutral": "#999999",
    "happy": "#e69f00",
    "calm": "#56b4e9",
    "disgust": "#009e73",
    "surprised": "#f0e442",
    "sad": "#0072b2",
    "angry": "#d55e00",
    "fearful": "#cc79a7",
}
_SAME = {"happiness": "happy", "joy": "happy", "sadness": "sad", "anger": "angry", "fear": "fearful"}
_SAME |= {"disgusted": "disgust", "surprise": "surprised", "excited": "surprised", "bored": "calm", "boredom": "calm"}
_MORE = ("#332288", "#882255", "#44aa99", "#ddcc77", "#117733", "#aa4499", "#661100", "#6699cc")  # of Paul Tol


def colors_of(names: tuple[str, ...] | list[str]) -> dict[str, str]:
    """Return a colour for each name, as #rrggbb; they repeat beyond sixteen."""
    found: dict[str, str] = {}
    for name in names:
        known = _COLORS.get(_SAME.get(name.lower(), name.lower()))
        if known and known not in found.values():
            found[name] = known
    left = [color for color in (*_COLORS.values(), *_MORE) if color not in found.values()] or list(_MORE)
    others = [name for name in names if name not in found]
    found |= {name: left[number % len(left)] for number, name in enumerate(others)}
    return {name: found[name] for name in names}


def ink_on(color: str) -> str:
    """Return black or white, whichever reads better on a colour (WCAG 2.2, relative luminance).

    >>> ink_on("#0072b2"), ink_on("#f0e442")
    ('#ffffff', '#000000')
    """
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#ffffff" if 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.05 else "#000000"


def clock(seconds: float) -> str:
    """Return a time as people write it.

    >>> clock(75.25), clock(7325)
    ('1:15.2', '2:02:05.0')
    """
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest / 10:04.1f}" if hours else f"{minutes}:{rest / 10:04.1f}"


def render(template: str, scripts: tuple[str, ...] = (), data: Any = None, **values: Any) -> str:
    """Return a page by its template in templates/, with programs of templates/ and vendor/ and their data.

    Every value is escaped. `data` is what the programs read, as JSON.
    """
    programs = [asset(name) for name in scripts]
    values |= {"programs": programs, "policy": _policy(programs), "data": script_json(data), "asset": asset}
    values |= {"version": __version__, "made": datetime.now(timezone.utc).date().isoformat()}
    return _environment().get_template(template).render(values)


def write(path: Path, page: str) -> None:
    """Write a page beside its place, then into it. Raises UserError where that cannot be done."""
    with written_aside(path) as aside:
        aside.write_text(page, encoding="utf-8", errors="backslashreplace")


def script_json(data: Any) -> str:
    """Return data as JSON that cannot end the element it is in, whatever texts it holds."""
    return json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


@cache
def asset(name: str) -> str:
    """Return the text of a file of zoo/pages, such as vendor/uPlot.min.css."""
    return (files("zoo.pages") / name).read_text(encoding="utf-8").strip()


def _policy(programs: list[str]) -> str:
    sums = (base64.b64encode(sha256(_inside(text).encode()).digest()).decode() for text in programs)
    allowed = " ".join(f"'sha256-{one}'" for one in sums) or "'none'"
    rules = f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; media-src data:"
    return f"{rules}; base-uri 'none'; form-action 'none'"


def _inside(program: str) -> str:
    """Return a program as it stands between its tags."""
    if "</script" in program.lower():
        raise ValueError("expected a program without </script in it")
    return f"\n{program}\n"


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("zoo.pages", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: printable(value) if type(value) is str else value,
    )
    made.filters |= {"clock": clock, "percent": percent, "ink_on": ink_on, "inside": _inside}
    return made
