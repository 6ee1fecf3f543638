"""Score an ensemble of finished runs: the mean of their probabilities on the same test clips.

    python scripts/ensemble.py runs/SEED-0 runs/SEED-1 runs/SEED-2 --out runs/three-seeds
    python scripts/ensemble.py runs/NETWORK runs/SVM --calibrate --data-root CORPUS --out runs/both

Runs are of one protocol and the same test clips, usually one configuration with several seeds. Their recorded
predictions are averaged, each run alike; nothing is chosen by the test clips. Networks and SVMs differ in how sure they
are: --calibrate takes each fold's probabilities at the temperature that suits its validation clips, to average what
means the same. --out gets metrics.json, with the own figures of its members, and predictions.csv; scripts/compare.py
--by-run compares that folder with runs.
"""

from pathlib import Path

from zoo.errors import UserError
from zoo.reports import classification
from zoo.reports.tables import percent
from zoo.studies import ensemble
from zoo.utils.backends import use_backend
from zoo.utils.parser import Parser
from zoo.utils.text import printable


def main() -> None:
    parser = Parser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folder that train.py made; two or more")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="new folder for its figures")
    fitted = "average probabilities at temperatures that are fitted on each fold's validation clips"
    parser.add_argument("--calibrate", action="store_true", help=fitted)
    parser.add_argument("--data-root", default="", help="for --calibrate: the corpus's folder (default: the run's)")
    args = parser.parse_args()
    if args.data_root and not args.calibrate:
        raise UserError("--data-root is for --calibrate; give both, or leave it out")
    if args.out.exists() and (not args.out.is_dir() or any(args.out.iterdir())):
        raise UserError(f"--out {args.out} exists already; give a new folder")
    record, rows = ensemble.ensemble(args.runs)  # fails before validation clips are predicted
    if args.calibrate:
        use_backend("tensorflow")
        from zoo.export import fit_temperature

        temperatures = [fit_temperature.of_folds(run, args.data_root) for run in args.runs]
        record, rows = ensemble.ensemble(args.runs, temperatures)
    ensemble.write(record, rows, args.out)
    names = ", ".join(member["run"] for member in record["members"])
    classification.print_metrics(record, f"mean of {len(args.runs)} runs ({names}), {record['protocol']}")
    mean, deviation = (percent(record[f"{name}_of_members"]) for name in ("mean_ua", "deviation_of_ua"))
    print(f"each by itself: UA {mean} on average, standard deviation {deviation}")
    print(f"results: {printable(str(args.out))}")
