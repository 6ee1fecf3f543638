"""Show what finished runs confuse on their test clips: by speaker, and of RAVDESS by sex, intensity and statement.

    python scripts/confusions.py runs/NAME --out confusions
    python scripts/confusions.py runs/FOLDS-0-1 runs/FOLDS-2-3 --votes tabulatedVotes.csv --out confusions

It reads metrics.json and predictions.csv alone, no audio and no model. Several runs are taken together, such as those
of different folds. With --votes, CREMA-D's processedResults/tabulatedVotes.csv, what people confuse stands beside it:
each rater of a voice against the class that most of its other raters chose.

Writes confusions.md, .csv, .json, .tex (tables for LaTeX), .png, .svg and .pdf to --out: the matrix, the pairs most
confused, calm against neutral, and each group.
"""

from pathlib import Path

from zoo.reports import confusions as report
from zoo.reports.tables import percent
from zoo.studies.confusions import study
from zoo.utils.parser import Parser
from zoo.utils.text import printable


def main() -> None:
    parser = Parser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folder that train.py made, of classes")
    parser.add_argument("--votes", type=Path, metavar="FILE", help="CREMA-D's tabulatedVotes.csv")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for tables and figure")
    args = parser.parse_args()
    record = study(args.runs, args.votes)
    report.write(record, args.out)
    print(printable(report.title(record)))
    for pair in record["pairs"][:5]:
        print(printable(f"{' / '.join(pair['classes'])}: {percent(pair['mean'])}"))
    print(f"results: {printable(str(args.out))}")
