"""Adapt finished runs to each of their test speakers, and score them as strangers and adapted.

    python scripts/adapt.py runs/NAME --method batch_norm --side validation --out adapted
    python scripts/adapt.py runs/A runs/B runs/C --method prior batch_norm+prior --out adapted
    python scripts/adapt.py runs/NAME --method batch_norm --clips 5,10,20,all --out adapted
    python scripts/adapt.py runs/NAME --method few_shot --clips 1,2,3 --out adapted
    python scripts/adapt.py runs/NAME --method batch_norm --speaker my_clips/ --save runs/NAME-for-me

Methods: METHODS
"METHOD:STRENGTH" sets its strength, "A+B" does A in the network and then B on its probabilities. Choose methods and
strengths by --side validation; test speakers are for the figure of the method chosen.

By default clips have no labels: "all" adapts to all clips of a speaker and scores the same ones (transductive), a
number adapts to so many and scores the speaker's others (inductive), in several draws. few_shot takes so many labelled
clips of every class. Several runs, such as other seeds of the same folds, answer by their mean probabilities.

Figures lie in --out: adaptation.md, adaptation.csv and adaptation.json, as a stranger beside adapted.

With --speaker DIR, recordings of your own speaker without labels, nothing is scored: --save writes the run adapted to
them, which predict.py opens as any run.
"""

import argparse
import textwrap
from pathlib import Path

from zoo.adaptation.methods import METHODS, Plan, plan_of
from zoo.config import saved
from zoo.errors import UserError
from zoo.utils.backends import use_backend
from zoo.utils.parser import Parser
from zoo.utils.text import printable


def main() -> None:
    args = _parser().parse_args()
    plans = [plan_of(text) for text in dict.fromkeys(args.method)]
    _check(args, plans)
    settings = saved.load(args.runs[0] / "config.json")
    use_backend(args.backend or settings.backend)
    if args.speaker:
        from zoo.adaptation.own_speaker import save

        n_clips = save(args.runs[0], plans[0], args.speaker, args.save)
        print(f"adapted to {n_clips} recordings of one speaker: {printable(str(args.save))}")
        return
    from zoo.adaptation import report
    from zoo.adaptation.study import Asked, measure
    from zoo.utils.progress import Progress

    asked = Asked(args.side, args.clips, args.draws, args.seed)
    with Progress() as progress:
        record = measure(args.runs, plans, asked, args.data_root, progress)
    report.write(record, args.out)
    report.print_table(record)
    print(f"results: {printable(str(args.out))}")


def _parser() -> Parser:
    listed = "".join(f"\n  {name}: {row.title}" for name, row in METHODS.items())
    about = "\n".join(
        textwrap.fill(line, 118, subsequent_indent="    ") if line.startswith("  ") and ":" in line[:20] else line
        for line in (__doc__ or "").replace("METHODS", listed).splitlines()
    )
    parser = Parser(description=about)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folder that train.py made, of classes")
    parser.add_argument(
        "--method", nargs="+", required=True, metavar="METHOD", help="one or several, each with figures"
    )
    what = parser.add_argument_group("figures")
    what.add_argument("--side", choices=("test", "validation"), default="test", help="speakers scored (default: test)")
    numbers = "clips of a speaker, such as 5,10,20,all (default: all; of few_shot 1,2,3 of every class)"
    what.add_argument("--clips", default="", metavar="N,N", help=numbers)
    what.add_argument("--draws", type=int, default=10, help="draws of clips, where not all are taken (default: 10)")
    what.add_argument("--seed", type=int, default=0, help="of the draws (default: 0)")
    what.add_argument("--data-root", default="", help="the corpus's folder (default: as the runs were trained)")
    what.add_argument("--out", type=Path, help="folder for figures")
    own = parser.add_argument_group("one's own speaker")
    own.add_argument("--speaker", nargs="+", metavar="FILE", help="recordings of one speaker, and folders of them")
    own.add_argument("--save", type=Path, metavar="DIR", help="new folder for the run adapted to --speaker")
    parser.add_argument_group("running").add_argument("--backend", help="Keras backend (default: the run's)")
    parser.hide(("draws", "seed", "backend"))
    return parser


def _check(args: argparse.Namespace, plans: list[Plan]) -> None:
    if bool(args.speaker) != bool(args.save):
        raise UserError(
            "--speaker, recordings of your own speaker, and --save, where the adapted run goes, need each other"
        )
    if bool(args.save) == bool(args.out):
        raise UserError("expected --out DIR for figures, or --speaker and --save for a run of your own speaker")
    if args.save and (args.clips or args.data_root or args.side != "test"):
        raise UserError("--clips, --data-root and --side are for figures, and --save makes none; leave them out")
    if len({place.resolve() for place in args.runs}) < len(args.runs):
        raise UserError("a run is given twice; give each one once")
    if args.draws < 1:
        raise UserError(f"--draws is {args.draws}, expected 1 or more")
    if args.save and (len(args.runs) > 1 or len(plans) > 1 or plans[0].answers):
        of_network = ", ".join(name for name, row in METHODS.items() if row.of_network)
        raise UserError(f"--save takes one run and one method of the network: {of_network}")
