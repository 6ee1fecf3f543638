"""Draw a network's learning curve by number of training speakers, and extrapolate it to twice as many speakers.

    python scripts/by_speakers.py --model residual_bigru --corpus ravdess --data-root DIR --protocol ravdess-inner \\
        --speakers 4,8,12 --seeds 0 1 2 --out docs/runs/speakers
    python scripts/by_speakers.py ... --protocol ravdess-strangers --speakers 4,8,12,16 --side test

A draw is of one fold and seed: its speakers are drawn at random, women and men in turn, the smaller draw part of the
larger. Networks are scored on the fold's validation speakers (mean UA of the last ten epochs), or with --side test and
no validation side on its test speakers, once, after the last epoch. Fewer speakers train for more epochs, so that all
take as many steps; --same-epochs trains all for --epochs. --out gets a record for each finished run, curve.csv,
curve.json, curve.md and curve.png; models lie in --runs. Repeat an interrupted command to go on. All flags of train.py
hold.
"""

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from zoo.config import flags as config_flags
from zoo.config import packages
from zoo.config.run_config import RunConfig
from zoo.data.schema import Fold
from zoo.errors import UserError
from zoo.runs.dataset import Source, open_source, resolve
from zoo.studies import by_speakers
from zoo.utils.backends import announce_device, use_backend
from zoo.utils.parser import Numbers, Parser
from zoo.utils.text import printable


def main() -> None:
    given = vars(_parser().parse_args())
    own: dict[str, Any] = {name: given.pop(name) for name in ("speakers", "seeds", "side", "same_epochs", "runs")}
    for name, instead in (("seed", "--seeds"), ("patience", "none: all epochs are trained")):
        if name in given:
            raise UserError(f"--{name} {given[name]} has no effect here; give {instead}")
    if "out" not in given:
        raise UserError("--out: expected a folder for records and the curve, found none. Add it")
    out, counts = Path(given.pop("out")), _counts(own["speakers"])
    base = resolve(config_flags.from_flags(given))
    source = _scored(open_source(base), own["side"])
    for fold in source.folds:
        by_speakers.drawn(fold, counts[-1], seed=0)
    packages.check(base)
    use_backend(base.backend)

    from zoo.studies import by_speakers_report, validation_runs
    from zoo.utils.progress import Progress

    validation_runs.check(base)
    announce_device()
    jobs = [
        validation_runs.Job(*_run(base, source, fold, count, seed, own))
        for seed in dict.fromkeys(own["seeds"])
        for fold in source.folds
        for count in counts
    ]
    for job in jobs:
        validation_runs.kept(job, out)  # a record of another command fails before hours are spent
    command, records = shlex.join(["python", "scripts/by_speakers.py", *sys.argv[1:]]), []
    with Progress() as progress:
        for number, job in enumerate(jobs, start=1):
            progress.line(f"{number} of {len(jobs)}: {job.name}, {job.settings.epochs} epochs")
            records.append(validation_runs.record(job, out, own["runs"] or Path("runs") / out.name, progress))
            by_speakers_report.write(records, out, command)
    print(f"results: {printable(str(out))}")


def _parser() -> Parser:
    parser = Parser(description=__doc__)
    study = parser.add_argument_group("learning curve")
    study.add_argument("--speakers", required=True, metavar="N,N,...", help="numbers of training speakers")
    study.add_argument("--seeds", action=Numbers, nargs="+", default=[0], help="of draws and networks (default: 0)")
    study.add_argument("--side", choices=("validation", "test"), default="validation", help="speakers that score")
    study.add_argument("--same-epochs", action="store_true", help="train fewer speakers in fewer steps")
    study.add_argument("--runs", type=Path, metavar="DIR", help="folder of the runs (default: runs/ and --out's name)")
    config_flags.add_flags(parser)
    return parser


def _run(base: RunConfig, source: Source, fold: Fold, count: int, seed: int, own: dict[str, Any]) -> tuple:
    """Return the name, settings, source and description of the run of one draw with so many speakers."""
    some = by_speakers.drawn(fold, count, seed)
    epochs = round(base.epochs * (1 if own["same_epochs"] else len(fold.train) / len(some.train)))
    settings = replace(base, seed=seed, epochs=epochs, patience=epochs, fold=fold.name.split("-")[0])
    length = "as many" if own["same_epochs"] else "more, for as many steps"
    about = {"study": "by speakers", "speakers": count, "scored": own["side"], "length": length}
    name = f"{count}-speakers-fold-{settings.fold}-seed-{seed}"
    return name, settings, replace(source, folds=(some,)), about


def _counts(text: str) -> list[int]:
    words = text.split(",")
    if not all(word.strip().isdecimal() and int(word) for word in words) or len(words) < 2:
        raise UserError(f"--speakers {text}: expected two whole numbers or more, as in 4,8,12")
    return sorted({int(word) for word in words})


def _scored(source: Source, on: str) -> Source:
    """Return the source with the one side that scores beside training. Raises UserError where it is not as asked."""
    folds = []
    for fold in source.folds:
        if on == "test" and fold.validation:
            raise UserError(
                f"--side test: fold {fold.name} has validation clips, which score. Leave it out, or choose a "
                "--protocol without them, such as ravdess-strangers"
            )
        if not getattr(fold, on):
            raise UserError(f"fold {fold.name} has no {on} clips to score on; choose another --protocol, or --side")
        folds.append(replace(fold, test=() if on == "validation" else fold.test))
    return replace(source, folds=tuple(folds))
