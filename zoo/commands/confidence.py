"""Fit the confidence of a run on its validation clips, and judge measures of confidence on its test clips.

    python scripts/confidence.py runs/NAME                                  # by the largest probability
    python scripts/confidence.py runs/NAME --measure error_model --abstain-at-error 0.3
    python scripts/confidence.py runs/NAME --coverage 0.8 --judge maximum margin entropy error_model_acoustic
    python scripts/confidence.py runs/NAME --with runs/SEED-1 runs/SEED-2   # ensembles beside them
    python scripts/confidence.py runs/NAME --pool folder/ --judge error_model error_model_self

The fit of --measure goes to RUN/confidence.json: predict.py then gives `confidence` and `abstained`, and export.py puts
both into the export's description.json and its signature with_confidence. The threshold is the lowest one with at most
the wanted error on the validation clips, or that which answers the wanted share of them (default: 80 %). A run on all
clips (train.py --fold final) has none: its fit is that of the folds it names with --figures-from.

Judged on the test clips, by fits of each fold's own validation speakers: AUROC of errors, area under the risk-coverage
curve, calibration, UA at 80 % coverage, and what the fitted threshold does. They lie in --out: figures.json,
figures.csv, table.md, risk_coverage.png and reliability.png, both as .svg too.
"""

from pathlib import Path

from zoo.confidence import threshold
from zoo.confidence.measures import MEASURES
from zoo.config import saved
from zoo.errors import UserError, unknown
from zoo.utils.backends import use_backend
from zoo.utils.parser import Parser

_DEFAULT = [name for name, row in MEASURES.items() if not row.takes_functionals and not row.self_labelled]


def main() -> None:
    args = _parser().parse_args()
    wanted = {"error": args.abstain_at_error} if args.abstain_at_error is not None else {"coverage": args.coverage}
    threshold.check(wanted)
    measures = list(dict.fromkeys([args.measure, *(_DEFAULT if args.judge is None else args.judge)]))
    for name in measures:
        if name not in MEASURES:
            raise unknown("measure", name, MEASURES)
    needs_pool = [name for name in measures if MEASURES[name].self_labelled]
    if bool(needs_pool) != bool(args.pool):
        raise UserError("error_model_self and --pool DIR, a folder of recordings without labels, need each other")
    settings = saved.load(args.run / "config.json")
    use_backend(args.backend or settings.backend)

    from zoo.reports import confidence as report
    from zoo.runs import confidence_file, folds_of_final
    from zoo.runs.open_run import open_run
    from zoo.studies import confidence as study
    from zoo.studies.confidence_clips import collect
    from zoo.utils.progress import Progress
    from zoo.utils.text import printable

    opened = open_run(args.run)
    final, opened = opened, folds_of_final.of_final(opened) or opened
    with_functionals = any(MEASURES[name].takes_functionals for name in measures)
    with Progress() as progress:
        folds = collect(opened, args.data_root, with_functionals, progress, args.pool)
        names = [fold.name for fold in folds]
        others = [collect(open_run(place), args.data_root, False, progress, only=names) for place in args.with_runs]
        fits = study.fits(opened, folds, args.measure, wanted)
        optional = {*measures} - {args.measure} if args.judge is None else ()
        record = study.study(opened, folds, measures, wanted, {args.measure: fits}, others, progress, optional)
    out = args.out or args.run / "confidence"
    report.write(record, out)
    fits = fits if final is opened else {confidence_file.ALL: fits[confidence_file.ALL]}
    path = confidence_file.save(final, fits)
    report.print_table(record)
    for name, reason in record["left_out"].items():
        print(f"not judged: {name} ({printable(reason)})")
    if final is not opened:
        print(f"fitted and judged on {printable(str(opened.folder))}: models trained on fewer speakers than this one")
    print(f"results: {printable(str(out))}")
    print(f"fit by {args.measure}: {printable(str(path))}")


def _parser() -> Parser:
    parser = Parser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder that train.py made, of classes")
    fit = parser.add_argument_group("fit")
    listed = ", ".join(MEASURES)
    fit.add_argument("--measure", default="maximum", help=f"of RUN/confidence.json: {listed} (default: maximum)")
    wanted = fit.add_mutually_exclusive_group()
    wanted.add_argument("--abstain-at-error", type=float, metavar="SHARE", help="wrong answers allowed, such as 0.3")
    wanted.add_argument("--coverage", type=float, default=0.8, help="share of clips answered (default: 0.8)")
    judged = parser.add_argument_group("measures judged")
    judged.add_argument("--judge", nargs="*", metavar="MEASURE", help=f"beside it (default: {', '.join(_DEFAULT)})")
    other = "finished runs of the same folds, such as other seeds: ensembles of them are judged too"
    judged.add_argument("--with", dest="with_runs", type=Path, nargs="*", default=[], metavar="RUN", help=other)
    judged.add_argument("--pool", type=Path, metavar="DIR", help="recordings without labels, for error_model_self")
    data = parser.add_argument_group("data")
    data.add_argument("--data-root", default="", help="the corpus's folder (default: as the run was trained)")
    output = parser.add_argument_group("output")
    output.add_argument("--out", type=Path, help="folder for figures (default: RUN/confidence)")
    parser.add_argument_group("running").add_argument("--backend", help="Keras backend (default: the run's)")
    parser.hide(("with_runs", "pool", "data_root", "backend"))
    return parser
