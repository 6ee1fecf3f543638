"""Set the look of all figures: widths in print, fonts, colours that colour-blind people can tell apart, names of axes.

A figure is drawn as wide as it is printed, a column's or a page's width, so that its letters stay as large as they
are set here. Colours are those of Okabe and Ito (2008), "Color Universal Design", without the yellow, which is too
pale for lines.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

from zoo.utils.text import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMN_INCHES, PAGE_INCHES = 3.5, 7.0
POINTS, SMALL_POINTS, TITLE_POINTS = 8, 7, 9  # labels and legends; ticks and cells; the figure's title
BLACK, BLUE, ORANGE, GREEN, PINK, SKY, AMBER = (
    *("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00"),
)
GREY = "#777777"
COLOURS = (BLUE, ORANGE, GREEN, PINK, AMBER, SKY, BLACK)
SHADES = "cividis"  # a map of values to colours that looks alike to colour-blind people, dark for low values
_LONGEST = 32  # characters of a name beside a figure
_CHARACTER = 0.56  # of DejaVu Sans, mean width in units of its size
_SCORES = {
    "validation_ua": ("UA, validation clips (%)", 100),
    "validation_wa": ("WA, validation clips (%)", 100),
    "validation_ccc": ("CCC, validation recordings", 1),
    "validation_r2": ("R², validation recordings", 1),
}

Drawing = TypeVar("Drawing", bound=Callable[..., Any])


@contextmanager
def look() -> Iterator[None]:
    """Apply this look to what Matplotlib makes and saves in the body: it makes ticks as late as when it saves."""
    from cycler import cycler
    from matplotlib import rc_context

    small = dict.fromkeys(("xtick.labelsize", "ytick.labelsize", "legend.fontsize"), SMALL_POINTS)
    large = dict.fromkeys(("font.size", "axes.labelsize", "axes.titlesize"), POINTS)
    settings = {
        **small,
        **large,
        "figure.titlesize": TITLE_POINTS,
        "axes.prop_cycle": cycler(linestyle=["-", "--", ":"]) * cycler(color=COLOURS),
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.6,
        "grid.alpha": 0.3,
        "grid.linewidth": 0.6,
        "lines.linewidth": 1.2,
        "lines.markersize": 4,
        "legend.framealpha": 0.8,
        "legend.frameon": True,
        "legend.edgecolor": "none",
        "text.parse_math": False,  # a name with two dollar signs is no formula
        "svg.fonttype": "none",  # text stays text: it can be searched, read aloud and edited
        "svg.hashsalt": "speech-zoo",  # the same figure is the same file
        "pdf.fonttype": 42,  # TrueType: publishers refuse Matplotlib's usual Type 3 fonts
    }
    with rc_context(settings):
        yield


def styled(draw: Drawing) -> Drawing:
    """Return a function that draws in this look."""

    @wraps(draw)
    def inside(*args: Any, **kwargs: Any) -> Any:
        with look():
            return draw(*args, **kwargs)

    return inside  # type: ignore[return-value]


def wrapped(text: str, inches: float, points: float) -> str:
    """Return text in lines that are no wider than `inches`, at a font size in points; its own line breaks stay."""
    width = max(20, int(72 * inches / (_CHARACTER * points)))
    return "\n".join(textwrap.fill(printable(line), width, break_on_hyphens=False) for line in text.split("\n"))


def name(text: str) -> str:
    """Return a name of a user's as figures show it: on one line, cut to 32 characters."""
    shown = printable(text)
    return shown if len(shown) <= _LONGEST else shown[: _LONGEST - 1] + "…"


def score_axis(score: str) -> tuple[str, float]:
    """Return a history's score as its axis is called, with its unit, and what its values are multiplied by for it."""
    return _SCORES.get(score, (score.replace("_", " "), 1))


def plain_numbers(axis: Any, digits: int = 3) -> None:
    """Write the numbers along an axis, such as a logarithmic one, as they are: 0.001, and 1e-05 from there on down."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.{digits}g}"))
    axis.set_minor_formatter(NullFormatter())


def write_in_cells(axes: Axes, values: Any, texts: Any, points: float = SMALL_POINTS) -> None:
    """Write texts (rows, columns) into the cells of the image on `axes`, in black or white by the cell's colour."""
    import numpy as np

    image = axes.images[0]
    colours = image.to_rgba(np.ma.masked_invalid(np.asarray(values, float)))
    # How light a colour looks: Rec. 709's weights, of linear light.
    light = (np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4))[..., :3] @ (
        *(0.2126, 0.7152, 0.0722),
    )
    light = np.where(np.isnan(np.asarray(values, float)), 1.0, light)
    for row, column in np.ndindex(*light.shape):
        # Of black and white, the one of the higher contrast (WCAG 2.1, relative luminance).
        colour = "white" if light[row, column] < 0.179 else "black"
        axes.text(column, row, texts[row][column], ha="center", va="center", fontsize=points, color=colour)
