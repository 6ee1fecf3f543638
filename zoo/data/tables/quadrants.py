"""Add quadrants to tables of ratings, and points to tables of emotions (zoo.data.corpora.quadrants)."""

import math
from collections.abc import Sequence
from pathlib import Path

from zoo.data.corpora import label_maps, quadrants
from zoo.data.tables import cells as table_cells
from zoo.data.tables.cells import Cells
from zoo.errors import UserError, shortened

_RATINGS = ("arousal", "valence")


def extended(
    path: Path, emotion: str, scale: Sequence[float] = (-1.0, 1.0), radius: float = quadrants.RADIUS
) -> tuple[list[dict[str, str]], str]:
    """Return the rows of a table with its new columns, and how these were found, in words.

    Ratings on `scale` give the quadrant; without them, names of emotions in the column `emotion` give arousal and
    valence in -1..1 too. Cells of rows without either are empty. Raises UserError for a table without such columns, and
    for a rating that is no number on its scale.
    """
    cells = table_cells.read(path)
    rows = [dict(zip(cells.columns, values, strict=True)) for values in zip(*cells.columns.values(), strict=True)]
    if not rows:
        raise UserError(f"{path}: expected rows below the header, found none")
    if set(_RATINGS) <= cells.columns.keys():
        for number, row in enumerate(rows):
            row["quadrant"] = _of_ratings([row[name] for name in _RATINGS], scale, radius, cells, number)
        return rows, f"by arousal and valence on {scale[0]:g} to {scale[1]:g}, neutral within {radius:g} of the middle"
    if emotion not in cells.columns:
        found = shortened(list(cells.columns))
        raise UserError(
            f"{path}: expected the columns arousal and valence, or {emotion}, found {found}. Name yours by --emotion"
        )
    for row in rows:
        row |= dict.fromkeys((*_RATINGS, "quadrant"), "")
        name = label_maps.WORDS.names.get(row[emotion].strip().casefold(), "")
        if name == quadrants.NEUTRAL or name in quadrants.ANGLES:
            point = quadrants.point(name)
            row |= {key: f"{value:.4f}" for key, value in zip(_RATINGS, point, strict=True)}
            row["quadrant"] = quadrants.quadrant(*point, radius)
    return rows, f"points by {quadrants.SOURCE}"


def _of_ratings(values: Sequence[str], scale: Sequence[float], radius: float, cells: Cells, row: int) -> str:
    if not all(value.strip() for value in values):
        return ""
    try:
        numbers = [float(value) for value in values]
        if any(map(math.isnan, numbers)):
            return ""
        arousal, valence = (round(quadrants.rescaled(value, *scale), 12) for value in numbers)
        return quadrants.quadrant(arousal, valence, radius)
    except ValueError as error:
        low, high = scale
        raise UserError(
            f"{cells.where(row)}: expected arousal and valence from {low:g} to {high:g}, found {values[0]!r} and "
            f"{values[1]!r}. Give their --rating-scale LOW HIGH, or correct the line"
        ) from error
