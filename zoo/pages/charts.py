"""Draw charts as SVG in the page's own colours: lines and differences with intervals.

Matplotlib's SVG has fixed colours, which a dark page or a printed one cannot change.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo.utils.text import printable

if TYPE_CHECKING:
    from markupsafe import Markup

Point = tuple[float, float | None]
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 12, 44  # margins, pixels


@dataclass(frozen=True)
class Line:
    """A line through points (x, y), broken where y is None. `kind` is a class of page.css: s1, s2, s3, thin, dashed."""

    name: str
    points: Sequence[Point]
    kind: str = "s1"
    dots: bool = False


def lines(
    title: str,
    drawn: Sequence[Line],
    x: tuple[str, float, float],
    y: tuple[str, float, float],
    size: tuple[int, int] = (420, 300),
    upright: tuple[float, str] | None = None,
) -> "Markup":
    """Return a chart of lines. `x` and `y` are the label, the least and the largest of an axis.

    `upright` is the place on the x axis of an upright line, and what it says.
    """
    from markupsafe import Markup

    width, height = size

    def at(point: tuple[float, float]) -> tuple[float, float]:
        across = (point[0] - x[1]) / ((x[2] - x[1]) or 1)
        up = (point[1] - y[1]) / ((y[2] - y[1]) or 1)
        return _LEFT + across * (width - _LEFT - _RIGHT), height - _BOTTOM - up * (height - _TOP - _BOTTOM)

    parts = [
        Markup('<svg viewBox="0 0 {} {}" width="{}" height="{}" role="img" aria-label="{}">').format(
            *size, *size, title
        )
    ]
    parts += [_grid(at, x, y, size)]
    if upright:
        (place, top), (_, bottom) = at((upright[0], y[2])), at((upright[0], y[1]))
        parts.append(Markup('<path class="upright" d="M{:.1f} {:.1f}V{:.1f}"/>').format(place, top, bottom))
        side = "end" if place > width / 2 else "start"
        near = place + (-4 if side == "end" else 4)
        parts.append(
            Markup('<text class="tick" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(
                near, bottom - 6, side, upright[1]
            )
        )
    for line in drawn:
        places = [None if point[1] is None else at((point[0], point[1])) for point in line.points]
        parts.append(
            Markup('<path class="line {}" d="{}"><title>{}</title></path>').format(
                line.kind, _path(places), printable(line.name)
            )
        )
        if line.dots:
            dots = (
                Markup('<circle class="dot {}" cx="{:.1f}" cy="{:.1f}" r="3.5"/>').format(line.kind, *one)
                for one in places
                if one
            )
            parts.extend(dots)
    return Markup("").join([*parts, Markup("</svg>")])


def differences(title: str, rows: Sequence[tuple[str, float, float, float]], label: str, width: int = 640) -> "Markup":
    """Return a chart of differences with intervals: rows of a name, the value, and the interval's ends (NaN: none)."""
    from markupsafe import Markup

    ends = [value for row in rows for value in row[1:] if not math.isnan(value)] + [0.0]
    low, high = min(ends), max(ends)
    room = 0.08 * (high - low or 1)
    low, high, left = low - room, high + room, 230
    height = 30 * len(rows) + 44

    def across(value: float) -> float:
        return left + (value - low) / (high - low) * (width - left - 16)

    parts = [
        Markup('<svg viewBox="0 0 {} {}" width="{}" height="{}" role="img" aria-label="{}">').format(
            width, height, width, height, title
        )
    ]
    parts.append(Markup('<path class="upright" d="M{:.1f} 4V{}"/>').format(across(0), height - 36))
    for value in ticks(low, high):
        parts.append(
            Markup('<text class="tick" x="{:.1f}" y="{}" text-anchor="middle">{:g}</text>').format(
                across(value), height - 20, value
            )
        )
    parts.append(
        Markup('<text class="tick" x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(
            (left + width) / 2, height - 3, label
        )
    )
    for number, (name, value, least, most) in enumerate(rows):
        y = 20 + 30 * number
        parts.append(
            Markup('<text x="{}" y="{}" text-anchor="end">{}</text>').format(left - 12, y + 4, printable(name))
        )
        if not math.isnan(least):
            parts.append(Markup('<path class="line s1" d="M{:.1f} {}H{:.1f}"/>').format(across(least), y, across(most)))
        parts.append(Markup('<circle class="dot s1" cx="{:.1f}" cy="{}" r="4.5"/>').format(across(value), y))
    return Markup("").join([*parts, Markup("</svg>")])


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Return round numbers from `low` to `high`, at most about `most`.

    >>> ticks(0, 1), ticks(1, 60)
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [10.0, 20.0, 30.0, 40.0, 50.0, 60.0])
    """
    if not high > low:
        return [low]
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    return [round(n * step, 10) for n in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _grid(at, x: tuple[str, float, float], y: tuple[str, float, float], size: tuple[int, int]) -> "Markup":
    from markupsafe import Markup

    (left, bottom), (right, top) = at((x[1], y[1])), at((x[2], y[2]))
    parts = [Markup('<path class="axis" d="M{:.1f} {:.1f}V{:.1f}H{:.1f}"/>').format(left, top, bottom, right)]
    for value in ticks(*x[1:]):
        parts.append(
            Markup('<text class="tick" x="{:.1f}" y="{:.1f}" text-anchor="middle">{:g}</text>').format(
                at((value, y[1]))[0], bottom + 16, value
            )
        )
    for value in ticks(*y[1:]):
        place = at((x[1], value))[1]
        parts.append(Markup('<path class="axis faint" d="M{:.1f} {:.1f}H{:.1f}"/>').format(left, place, right))
        parts.append(
            Markup('<text class="tick" x="{:.1f}" y="{:.1f}" text-anchor="end">{:g}</text>').format(
                left - 6, place + 4, value
            )
        )
    parts.append(
        Markup('<text class="tick" x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(
            (left + right) / 2, size[1] - 8, x[0]
        )
    )
    middle = (top + bottom) / 2
    parts.append(
        Markup('<text class="tick" transform="translate(13 {:.1f}) rotate(-90)" text-anchor="middle">{}</text>').format(
            middle, y[0]
        )
    )
    return Markup("").join(parts)


def _path(places: Iterable[tuple[float, float] | None]) -> str:
    path, pen_is_down = [], False
    for place in places:
        if place:
            path.append(f"{'L' if pen_is_down else 'M'}{place[0]:.1f} {place[1]:.1f}")
        pen_is_down = place is not None
    return "".join(path)
