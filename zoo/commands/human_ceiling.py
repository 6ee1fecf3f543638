"""Show how often one rater of CREMA-D chooses what most of the others do, by what the raters had: voice, face or both.

    python scripts/human_ceiling.py CREMA-D/processedResults/tabulatedVotes.csv --out ceiling.json

It needs no audio. Each rater is compared with the class that most of the other raters of the clip chose; where these
tie, the rater is left out and counted. UA is the mean over those classes; intervals are over actors.
"""

from pathlib import Path

import numpy as np

from zoo.data.corpora.cremad import EMOTIONS, read_counts
from zoo.errors import UserError
from zoo.metrics.human_ceiling import human_ceiling
from zoo.reports.tables import percent, print_titled, table, with_interval
from zoo.utils.atomic_files import write_json
from zoo.utils.parser import Parser


def main() -> None:
    parser = Parser(description=__doc__)
    parser.add_argument("votes", type=Path, help="CREMA-D's tabulatedVotes.csv")
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    args = parser.parse_args()
    if not args.votes.is_file():
        raise UserError(f"{args.votes}: no such file; give CREMA-D's processedResults/tabulatedVotes.csv")
    classes, found = sorted(EMOTIONS.values()), {}
    for modality, counts in read_counts(args.votes).items():
        votes = np.array([[of_clip.get(name, 0) for name in classes] for of_clip in counts.values()])
        if len(votes):
            found[modality] = human_ceiling(votes, [name.split("_")[0] for name in counts])
    shown = table("raters had", numbers=("clips", "ratings", "left out", "UA", "WA"))
    for modality, row in found.items():
        numbers = (str(row[name]) for name in ("clips", "ratings", "left_out"))
        shown.add_row(modality, *numbers, *(with_interval(row[name], percent) for name in ("ua", "wa")))
    print_titled("CREMA-D: one rater against the others; in brackets the 95 % interval over actors", [], shown)
    if args.out:
        write_json(args.out, {"corpus": "CREMA-D", "classes": classes, "one_rater_against_the_others": found})
