"""Add quadrants to a table of ratings, and arousal, valence and quadrants to a table of emotions.

    python scripts/quadrants.py ratings.csv --rating-scale 1 5 --out with-quadrants.csv
    python scripts/quadrants.py labels.csv --out with-points.csv

A table with the columns arousal and valence gets the column quadrant: active-pleasant, active-unpleasant,
passive-unpleasant, passive-pleasant, or neutral in the middle. A table with the column emotion gets all three, by the
angles of Russell 1980; emotions without one, such as disgust, have empty cells. So that people with one kind of label
can train on it (train.py --corpus table:with-quadrants.csv --target quadrant) and compare with people of the other.
"""

from pathlib import Path

from zoo.data.corpora import quadrants
from zoo.data.tables import quadrants as quadrant_tables
from zoo.errors import UserError
from zoo.utils.atomic_files import write_csv
from zoo.utils.parser import Parser
from zoo.utils.text import printable


def main() -> None:
    parser = Parser(description=__doc__)
    parser.add_argument("table", type=Path, help="CSV or TSV with a header")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the new CSV")
    parser.add_argument("--emotion", default="emotion", help="column of emotions (default: emotion)")
    parser.add_argument("--rating-scale", type=float, nargs=2, default=(-1.0, 1.0), help="lowest and highest rating")
    radius = f"of the neutral zone, on scales from -1 to 1 (default: {quadrants.RADIUS})"
    parser.add_argument("--neutral-radius", type=float, default=quadrants.RADIUS, help=radius)
    given = parser.parse_args()
    if given.rating_scale[0] >= given.rating_scale[1]:
        raise UserError(
            f"--rating-scale {given.rating_scale[0]:g} {given.rating_scale[1]:g}: expected the lower number first"
        )
    if given.out.exists() and given.out.samefile(given.table):
        raise UserError(f"--out {given.out} is the table itself; give another file")

    rows, how = quadrant_tables.extended(given.table, given.emotion, given.rating_scale, given.neutral_radius)
    write_csv(given.out, rows)
    without = sum(row["quadrant"] == "" for row in rows)
    print(f"{printable(str(given.out))}: {len(rows)} rows, {without} without a quadrant; {how}")
