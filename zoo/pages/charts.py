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


Axis = tuple[str, float, float]  # label, least and largest value


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
    x: Axis,
    y: Axis,
    size: tuple[int, int] = (420, 300),
    upright: tuple[float, str] | None = None,
) -> "Markup":
    """Return a chart of lines. `upright` is the place on the x axis of an upright line, and what it says."""
    frame = _Frame(x, y, size)
    parts = [frame.grid()]
    if upright:
        parts.append(frame.upright(*upright))
    return _svg(title, size, [*parts, *map(frame.line, drawn)])


def differences(title: str, rows: Sequence[tuple[str, float, float, float]], label: str, width: int = 640) -> "Markup":
    """Return a chart of differences with intervals: rows of a name, the value, and the interval's ends (NaN: none)."""
    ends = [value for row in rows for value in row[1:] if not math.isnan(value)] + [0.0]
    room = 0.08 * (max(ends) - min(ends) or 1)
    low, high, left, height = min(ends) - room, max(ends) + room, 230, 30 * len(rows) + 44

    def across(value: float) -> float:
        return left + (value - low) / (high - low) * (width - left - 16)

    parts = [_made('<path class="upright" d="M{:.1f} 4V{}"/>', across(0), height - 36)]
    parts += [_tick(across(value), height - 20, f"{value:g}") for value in ticks(low, high)]
    parts.append(_tick((left + width) / 2, height - 3, label))
    for number, (name, value, least, most) in enumerate(rows):
        y = 20 + 30 * number
        parts.append(_made('<text x="{}" y="{}" text-anchor="end">{}</text>', left - 12, y + 4, printable(name)))
        if not math.isnan(least):
            parts.append(_made('<path class="line s1" d="M{:.1f} {}H{:.1f}"/>', across(least), y, across(most)))
        parts.append(_made('<circle class="dot s1" cx="{:.1f}" cy="{}" r="4.5"/>', across(value), y))
    return _svg(title, (width, height), parts)


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


@dataclass(frozen=True)
class _Frame:
    """A chart's axes and size in pixels."""

    x: Axis
    y: Axis
    size: tuple[int, int]

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return the place of a point, in pixels."""
        across, up = (x - self.x[1]) / ((self.x[2] - self.x[1]) or 1), (y - self.y[1]) / ((self.y[2] - self.y[1]) or 1)
        width, height = self.size[0] - _LEFT - _RIGHT, self.size[1] - _TOP - _BOTTOM
        return _LEFT + across * width, self.size[1] - _BOTTOM - up * height

    def grid(self) -> "Markup":
        (left, bottom), (right, top) = self.at(self.x[1], self.y[1]), self.at(self.x[2], self.y[2])
        parts = [_made('<path class="axis" d="M{:.1f} {:.1f}V{:.1f}H{:.1f}"/>', left, top, bottom, right)]
        for value in ticks(*self.x[1:]):
            parts.append(_tick(self.at(value, self.y[1])[0], bottom + 16, f"{value:g}"))
        for value in ticks(*self.y[1:]):
            place = self.at(self.x[1], value)[1]
            parts.append(_made('<path class="axis faint" d="M{:.1f} {:.1f}H{:.1f}"/>', left, place, right))
            parts.append(_tick(left - 6, place + 4, f"{value:g}", "end"))
        parts.append(_tick((left + right) / 2, self.size[1] - 8, self.x[0]))
        turned = '<text class="tick" transform="translate(13 {:.1f}) rotate(-90)" text-anchor="middle">{}</text>'
        return _joined([*parts, _made(turned, (top + bottom) / 2, self.y[0])])

    def upright(self, value: float, text: str) -> "Markup":
        (place, top), (_, bottom) = self.at(value, self.y[2]), self.at(value, self.y[1])
        is_right = place > self.size[0] / 2
        label = _tick(place + (-4 if is_right else 4), bottom - 6, text, "end" if is_right else "start")
        return _joined([_made('<path class="upright" d="M{:.1f} {:.1f}V{:.1f}"/>', place, top, bottom), label])

    def line(self, line: Line) -> "Markup":
        places = [None if y is None else self.at(x, y) for x, y in line.points]
        path = '<path class="line {}" d="{}"><title>{}</title></path>'
        dots = [
            _made('<circle class="dot {}" cx="{:.1f}" cy="{:.1f}" r="3.5"/>', line.kind, *place)
            for place in (places if line.dots else ())
            if place
        ]
        return _joined([_made(path, line.kind, _path(places), printable(line.name)), *dots])


def _svg(title: str, size: tuple[int, int], parts: Iterable["Markup"]) -> "Markup":
    head = '<svg viewBox="0 0 {} {}" width="{}" height="{}" role="img" aria-label="{}">{}</svg>'
    return _made(head, *size, *size, printable(title), _joined(parts))


def _tick(x: float, y: float, text: str, anchor: str = "middle") -> "Markup":
    return _made('<text class="tick" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>', x, y, anchor, text)


def _made(form: str, *values: object) -> "Markup":
    """Return a form with values in it, these escaped."""
    from markupsafe import Markup

    return Markup(form).format(*values)


def _joined(parts: Iterable["Markup"]) -> "Markup":
    from markupsafe import Markup

    return Markup("").join(parts)


def _path(places: Iterable[tuple[float, float] | None]) -> str:
    path, pen_is_down = [], False
    for place in places:
        if place:
            path.append(f"{'L' if pen_is_down else 'M'}{place[0]:.1f} {place[1]:.1f}")
        pen_is_down = place is not None
    return "".join(path)
