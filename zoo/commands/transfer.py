"""Measure what one corpus adds to few labelled clips of another one, by several methods of transfer.

    python scripts/transfer.py --model compare_svm --source ravdess --source-root DIR --corpus emodb --data-root DIR
    python scripts/transfer.py --source ravdess --source-root DIR --corpus table --data-root mine.csv
    python scripts/transfer.py --model residual_bigru --init-from runs/ravdess --corpus table --data-root mine.csv

For each fold of the target corpus (--corpus), 10, 25, 50 and 100 clips of its training speakers are drawn, of each
class in turn, three times; all methods get the same ones, and predict the fold's test speakers. Linear models take the
source as a corpus; networks have it in the weights they begin with (--init-from). Labels are compared by common English
words (anger is angry). Results lie in --out: transfer.json, .csv, .md, .png and .svg. Repeat an interrupted command to
go on: finished folds and seeds are kept. The other flags are those of train.py.
"""

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from zoo import registry
from zoo.config import flags, packages
from zoo.config.run_config import RunConfig
from zoo.errors import UserError
from zoo.runs.dataset import open_source, resolve
from zoo.utils.backends import announce_device, use_backend
from zoo.utils.parser import Numbers, Parser

# Of the target alone, not of a source read the same way.
_OF_TARGET = ("protocol", "fold", "data_root", "target", "classes", "column", "label_map", "from_names", "audio_root")


def main() -> None:
    given = parse()
    own = {name: given.pop(name) for name in ("source", "source_root", "methods", "budgets", "seeds")}
    out = Path(given.pop("out", "") or "transfer")
    if "seed" in given:
        raise UserError("--seed is for train.py; give the seeds of the draws, as in --seeds 0 1 2")
    target = flags.from_flags({"model": "compare_svm", **given})
    source = _source(target, own["source"], own["source_root"])
    packages.check(target)
    use_backend(target.backend)
    for config in (target, source):
        if config:
            open_source(resolve(config))  # reports a wrong folder before the backend takes its seconds to start

    from zoo.learning.transfer import report as transfer_report
    from zoo.learning.transfer import study as transfer_study
    from zoo.learning.transfer.study import Plan
    from zoo.utils.text import printable

    methods = tuple(own["methods"] or transfer_study.methods_of(target.model))
    plan = Plan(methods, tuple(own["budgets"]), tuple(own["seeds"]))
    announce_device()
    record = transfer_study.measure(target, source, plan, out)
    found = transfer_report.write({**record, "command": _command()}, out)
    for line in transfer_report.markdown(found):
        print(printable(line))
    print(f"results: {printable(str(out))}")


def parse() -> dict:
    parser = Parser(description=__doc__)
    study = parser.add_argument_group("transfer")
    study.add_argument("--source", default="", help="corpus with many labels (linear models)")
    study.add_argument("--source-root", default="", metavar="DIR", help="its folder or table")
    known = "pooled, autoencoder, ...; the table that is printed has all (default: all of the model)"
    study.add_argument("--methods", nargs="+", default=[], metavar="NAME", help=known)
    study.add_argument("--budgets", nargs="+", type=int, default=[10, 25, 50, 100], metavar="N", help="labelled clips")
    study.add_argument(
        "--seeds", action=Numbers, nargs="+", default=[0, 1, 2], metavar="N", help="draws of labelled clips"
    )
    flags.add_flags(parser)
    return vars(parser.parse_args())


def _source(target: RunConfig, corpus: str, root: str) -> RunConfig | None:
    """Return the configuration of the source, for linear models; its features are those of the target."""
    if registry.get(target.model).fitted == "gradient":
        if corpus:
            raise UserError(f"--source is for linear models; {target.model} gets its source by --init-from RUN")
        return None
    if not corpus:
        raise UserError("transfer.py needs --source CORPUS, with many labels, beside the target of --corpus")
    usual: dict[str, Any] = {name: RunConfig.__dataclass_fields__[name].default for name in _OF_TARGET}
    usual |= {"column": {}, "corpus": corpus, "data_root": root, "allow_incomplete": True}
    return replace(target, **usual)


def _command() -> str:
    """Return the command without folders of this machine."""
    words = [Path(word).name if "/" in word and Path(word).is_absolute() else word for word in sys.argv[1:]]
    return f"python scripts/transfer.py {shlex.join(words)}"
