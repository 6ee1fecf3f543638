"""Label recordings by several people and models, and say what to label next and whom to ask.

    python scripts/label.py next --pool folder/ --model runs/mine --strategy least-certain --clips 50 --out queue.csv
    python scripts/label.py add labels.csv clip.wav angry --rater anna
    python scripts/label.py add labels.csv long.wav sad --rater ben --start 12.5 --end 14
    python scripts/label.py show labels.csv
    python scripts/label.py ask labels.csv --rule agreement --level 3   # clips that need more votes, and whose
    python scripts/label.py raters labels.csv                           # who errs how
    python scripts/label.py accept labels.csv predictions.csv --above 0.9 --rater mine-v1
    python scripts/label.py retract labels.csv --rater mine-v1 --below 0.95
    python scripts/label.py export labels.csv --out table.csv
    python scripts/label.py simulate --votes tabulatedVotes.csv --out DIR

A label file is a table with the columns file, start, end, channel, label, rater, source (human or model), confidence
and time. It only grows: labels are on the disk when the command ends, survive a kill at any moment, and may be added by
several programs at once. What holds is the last word of each rater on a segment. Names of clips are relative to the
folder of the label file, or absolute where they are elsewhere. It can be trained on as it is: train.py --corpus
table:labels.csv.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from zoo.config import saved
from zoo.errors import UserError, unknown
from zoo.learning.labelling import label_file
from zoo.learning.labelling.label_file import Label, file_name
from zoo.learning.raters.how_many import LEVELS
from zoo.learning.strategies import STRATEGIES
from zoo.utils.atomic_files import csv_text, write_csv
from zoo.utils.parser import Numbers, Parser
from zoo.utils.text import printable

Subparsers = Any  # argparse's own type has no public name


def main() -> int | None:
    parser = Parser(description=__doc__)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for add in (_add_next, _add_add, _add_accept, _add_retract, _add_ask, _add_raters, _add_export, _add_simulate):
        add(commands)
    _command(commands, "show", "count labels by class, rater and source, and say how well raters agree", _show)
    args = parser.parse_args()
    return args.command(args)


def _command(commands: Subparsers, name: str, help_: str, command: Callable, labels: bool = True) -> Any:
    parser = commands.add_parser(name, help=help_, description=f"{help_[0].upper()}{help_[1:]}.")
    parser.set_defaults(command=command)
    if labels:
        parser.add_argument("labels", type=Path, metavar="LABELS", help="label file, such as labels.csv")
    return parser


def _out(parser: Any) -> None:
    parser.add_argument("--out", default="-", metavar="FILE", help="CSV to write (default: -, standard output)")


def _add_next(commands: Subparsers) -> None:
    parser = _command(commands, "next", "predict a pool and list the clips to label next", _next, labels=False)
    parser.add_argument("--pool", type=Path, required=True, help="folder of audio, or a table of recordings")
    model = "run of train.py, export, or a name in saved_models/"
    parser.add_argument("--model", type=Path, required=True, help=model)
    parser.add_argument("--strategy", default="least-certain", help=f"{', '.join(STRATEGIES)} (default: least-certain)")
    parser.add_argument("--clips", type=int, default=50, help="clips in the queue (default: 50)")
    parser.add_argument("--labels", type=Path, metavar="LABELS", help="leave out the clips that people have labelled")
    parser.add_argument("--seed", type=int, default=0, help="of random draws and ties (default: 0)")
    _out(parser)


def _add_add(commands: Subparsers) -> None:
    parser = _command(commands, "add", "add a person's label of a clip", _add)
    parser.add_argument("clip", type=Path, help="audio file")
    parser.add_argument("label", help="a class, such as angry")
    parser.add_argument("--rater", required=True, metavar="NAME", help="who says so")
    parser.add_argument("--start", type=float, default=0.0, metavar="SECONDS", help="beginning of a segment")
    parser.add_argument("--end", type=float, metavar="SECONDS", help="end of a segment (default: the file's)")
    parser.add_argument("--channel", type=int, metavar="N", help="channel, from 0 (default: all, mixed)")
    parser.add_argument("--confidence", type=float, metavar="SHARE", help="how sure the rater is, 0 to 1")
    parser.add_argument("--classes", metavar="A,B,C", help="refuse other labels than these")


def _add_accept(commands: Subparsers) -> None:
    parser = _command(commands, "accept", "take over what a model predicts with high confidence as its labels", _accept)
    parser.add_argument("predictions", type=Path, help="file of predict.py or of label.py next, .csv or .jsonl")
    parser.add_argument("--above", type=float, required=True, metavar="SHARE", help="least confidence, 0 to 1")
    parser.add_argument("--rater", required=True, metavar="NAME", help="name of the model, as the label file shall say")
    parser.add_argument("--classes", metavar="A,B,C", help="refuse other labels than these")


def _add_retract(commands: Subparsers) -> None:
    parser = _command(commands, "retract", "take back labels; the lines stay, and a line more says so", _retract)
    parser.add_argument("clip", type=Path, nargs="?", help="only those of this clip")
    parser.add_argument("--rater", metavar="NAME", help="only those of this model, or person")
    sources = "human | model: whose labels are meant (default: model)"
    parser.add_argument("--source", choices=label_file.SOURCES, default="model", help=sources)
    parser.add_argument("--below", type=float, metavar="SHARE", help="only those with less confidence")


def _add_ask(commands: Subparsers) -> None:
    parser = _command(commands, "ask", "list the clips that need more votes, and which rater would tell most", _ask)
    rules = "agreement: so many votes for one class; lead: so many more than for the next; posterior: its probability"
    parser.add_argument("--rule", choices=list(LEVELS), default="posterior", help=rules)
    level = "where asking ends (default: 0.9 for posterior, 3 for the others)"
    parser.add_argument("--level", type=float, help=level)
    parser.add_argument("--most", type=int, default=10, metavar="N", help="votes of a clip at most (default: 10)")
    parser.add_argument("--clips", type=int, metavar="N", help="list so many clips (default: all)")
    _out(parser)


def _add_raters(commands: Subparsers) -> None:
    parser = _command(commands, "raters", "model how each rater errs, from the labels alone", _raters)
    parser.add_argument("--out", type=Path, metavar="FILE", help="JSON with the confusion matrices")


def _add_export(commands: Subparsers) -> None:
    parser = _command(commands, "export", "write a table for --corpus table, a row per clip with its votes", _export)
    machine = "also labels of models, where no person has labelled"
    parser.add_argument("--with-machine", action="store_true", help=machine)
    by = "votes: most votes; model: the likeliest class by the rater model"
    parser.add_argument("--by", choices=("votes", "model"), default="votes", help=by)
    _out(parser)


def _add_simulate(commands: Subparsers) -> None:
    measure = "measure what asking raters one after another saves, on drawn votes and simulated raters"
    parser = _command(commands, "simulate", measure, _simulate, labels=False)
    parser.add_argument("--votes", type=Path, required=True, metavar="FILE", help="CREMA-D's tabulatedVotes.csv")
    parser.add_argument(
        "--seeds", action=Numbers, nargs="+", default=list(range(10)), help="of draws (default: 0 to 9)"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the records")


def _next(args: argparse.Namespace) -> None:
    from zoo.learning.labelling.queue import Wanted, make
    from zoo.utils.progress import Progress

    if args.strategy not in STRATEGIES:
        raise unknown("strategy", args.strategy, STRATEGIES)
    if args.clips < 1:
        raise UserError(f"--clips is {args.clips}, expected 1 or more")
    present = _read(args.labels) if args.labels and args.labels.exists() else []
    wanted = Wanted(args.pool, args.strategy, args.clips, args.seed, args.labels or Path("labels.csv"))
    with Progress() as progress, tempfile.TemporaryDirectory() as folder:
        beside = Path(folder, "queue") if args.out == "-" else Path(args.out)
        found = make(_model(args.model), wanted, present, beside, progress, _say)
    _write(found, args.out)


def _model(place: Path) -> Any:
    from zoo import pretrained
    from zoo.learning.labelling.queue import Model
    from zoo.utils.backends import use_backend

    if (place / "config.json").is_file():
        use_backend(saved.load(place / "config.json").backend)
        return Model(place, exported=False)
    return Model(pretrained.find(place), exported=True)


def _add(args: argparse.Namespace) -> None:
    from zoo.learning.labelling.commands import check_clip, notices

    times = {"start": args.start, "end": args.end, "channel": args.channel, "confidence": args.confidence}
    row = Label(file_name(args.labels, args.clip), args.label, args.rater, **times)
    if not row.label:
        raise UserError("expected a label, found none; to take labels back, use label.py retract")
    check_clip(args.clip, row)
    present = _read(args.labels) if args.labels.exists() else []
    label_file.append(args.labels, [row], _classes(args), _notice)
    for notice in notices(present, [row]):
        _notice(notice)


def _accept(args: argparse.Namespace) -> None:
    from zoo.learning.labelling.commands import accepted
    from zoo.learning.labelling.predicted import rows_of

    _check_share("--above", args.above)
    present = _read(args.labels) if args.labels.exists() else []
    found = accepted(args.labels, present, rows_of(args.predictions), args.above, args.rater)
    label_file.append(args.labels, found, _classes(args), _notice)
    _say(f"{args.labels}: {len(found)} labels of {args.rater} added")


def _retract(args: argparse.Namespace) -> None:
    from zoo.learning.labelling.commands import taken_back

    if args.source == "human" and not args.rater:
        raise UserError("--source human: expected --rater NAME, for people's labels are taken back one by one")
    if args.below is not None:
        _check_share("--below", args.below)
    file = None if args.clip is None else file_name(args.labels, args.clip)
    found = taken_back(_read(args.labels), args.source, args.rater, args.below, file)
    if not found:
        raise UserError(f"{args.labels}: expected labels of these that hold, found none; see label.py show")
    label_file.append(args.labels, found, on_notice=_notice)
    _say(f"{args.labels}: {len(found)} labels taken back")


def _show(args: argparse.Namespace) -> None:
    from zoo.learning.labelling.commands import missing, notices, summary
    from zoo.learning.labelling.tables import print_summary

    present = _read(args.labels)
    print_summary(args.labels, summary(present))
    for notice in notices(present):
        _notice(notice)
    if absent := missing(args.labels, present):
        _notice(f"{len(absent)} files are not there, the first is {absent[0]}")


def _ask(args: argparse.Namespace) -> None:
    from zoo.learning.labelling.commands import Rated

    level = args.level if args.level is not None else 0.9 if args.rule == "posterior" else 3
    if args.rule == "posterior":
        _check_share("--level", level)
    rated = Rated.of(_read(args.labels))
    found = rated.to_ask(args.rule, level, args.most)
    _say(f"{len(found)} of {len(rated.segments)} labelled clips need more votes")
    _write(found[: args.clips], args.out)


def _raters(args: argparse.Namespace) -> None:
    from zoo.learning.labelling.commands import Rated
    from zoo.learning.labelling.tables import print_raters, write_raters

    rated = Rated.of(_read(args.labels))
    print_raters(args.labels, rated)
    if args.out:
        write_raters(args.out, rated)


def _export(args: argparse.Namespace) -> None:
    from zoo.learning.labelling.commands import table

    if args.by == "model" and args.with_machine:
        raise UserError("--by model: the rater model is of people's votes; leave --with-machine out")
    rows = table(_read(args.labels), args.with_machine, args.by == "model")
    if args.out != "-" and Path(args.out).parent.resolve() != args.labels.parent.resolve():
        _notice(f"names of clips are relative to {args.labels.parent}; train with --audio-root {args.labels.parent}")
    _write(rows, args.out)


def _simulate(args: argparse.Namespace) -> None:
    from zoo.learning.raters.records import study

    study(args.votes, args.seeds, args.out, _say)


def _read(path: Path) -> list[Label]:
    return label_file.read(path, _notice)


def _classes(args: argparse.Namespace) -> Sequence[str]:
    return [name.strip() for name in (args.classes or "").split(",") if name.strip()]


def _check_share(option: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise UserError(f"{option} is {value:g}, expected a share from 0 to 1")


def _write(rows: Sequence[dict[str, Any]], out: str) -> None:
    if not rows:
        _say("nothing to write")
    elif out == "-":
        sys.stdout.write(csv_text(rows))
    else:
        write_csv(Path(out), rows)


def _notice(text: str) -> None:
    _say(f"notice: {text}")


def _say(text: str) -> None:
    print(printable(text), file=sys.stderr)
