"""Search hyper-parameters of a network: trials on inner folds, grouped by speaker; test clips are never read.

    python scripts/tune.py --model cnn1d_mfcc --corpus ravdess --data-root DIR --fold 0 --tuner random --trials 60
    python scripts/tune.py --model attention_blstm_fcn --corpus iemocap --synthetic --tuner hyperband --workers 2
    python scripts/tune.py --out searches/NAME --resume --trials 80     # after a crash, or for more trials
    python scripts/tune.py --out searches/NAME --show                   # table, plots, the best as flags of train.py

A search belongs to one fold of its protocol (--fold, the first by default). Flags of train.py set what all trials
share; the network's search space, changed by --vary and --space, what they differ in. searches/NAME has the journal
search.jsonl, a run folder per trial, and what --show writes. --show --json prints one document: folder, model, tuner,
asked (trials), trials (the rows of trials.csv), importance, importance_note and best (trial, score, flags, command).

--workers 2 trains two trials at a time, in processes of this machine; with --ray ADDRESS they are tasks of a Ray
cluster (docs/cluster.md).
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from tuning import space as spaces
from tuning.journal import NAMES
from tuning.replay import read
from tuning.run_trial import feasible
from tuning.search import Search
from zoo.config import flags, packages
from zoo.data.corpora.names import without_folders
from zoo.distributed import flags as worker_flags
from zoo.distributed.pool import Pool
from zoo.errors import UserError
from zoo.runs import upstream_runs
from zoo.runs.dataset import inner, open_source, resolve
from zoo.utils.backends import use_backend
from zoo.utils.parser import Parser
from zoo.utils.text import printable

SEARCH: dict[str, dict[str, Any]] = {
    "tuner": {"choices": spaces.TUNERS, "help": "how trials are proposed (default: random)"},
    "trials": {"type": int, "help": "finished trials to have in the end (default: 20)"},
    "inner_folds": {"type": int, "help": "folds of the training speakers (default: 3)"},
    "prune": {"choices": ("none", "median"), "help": "give trials up below the median, fold by fold"},
    "max_epochs": {"type": int, "help": "of hyperband's last rung (default: --epochs)"},
    "vary": {"action": "append", "metavar": "NAME=VALUES", "help": "V1,V2,... or LOW..HIGH or LOW..HIGH:log"},
    "space": {"metavar": "FILE", "help": "a search space as JSON, in place of the network's"},
    "resume": {"action": "store_true", "help": "go on with the search in --out"},
    "json": {"action": "store_true", "help": "with --show: print one JSON document"},
    "show": {"action": "store_true", "help": "write and print what the search in --out found"},
}
WORKERS = worker_flags.of("trial", "1")
_REPLACED = "is gone: no port is opened any more. --ray ADDRESS runs trials on other machines (docs/cluster.md)"


def main() -> None:
    parser = Parser(description=__doc__)
    for title, table in (("search", SEARCH), ("workers", WORKERS)):
        group = parser.add_argument_group(title)
        for name, options in table.items():
            group.add_argument("--" + name.replace("_", "-"), default=argparse.SUPPRESS, **options)
    for name in ("--host", "--port"):
        parser.add_argument(name, default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    flags.add_flags(parser)
    parser.hide(["space", "max_epochs", "inner_folds", *(name for name in WORKERS if name != "workers")])
    given = vars(parser.parse_args())
    for name in ("host", "port"):
        if name in given:
            raise UserError(f"--{name} {given[name]}: this flag {_REPLACED}")
    own = {name: given.pop(name) for name in SEARCH if name in given}
    running = {name: given.pop(name) for name in WORKERS if name in given}
    worker_flags.check(running, "trial")
    from tuning.distributed.drive import drive
    from tuning.results.show import show

    if own.get("json") and not own.get("show"):
        raise UserError("--json has an effect with --show alone; add that, or leave it out")
    words = [word for word in ("show", "resume") if own.get(word)]
    if words and not given.get("out"):
        raise UserError(f"--{words[0]} needs --out DIR, the folder of the search")
    if "option" in given:
        given["option"] = flags.parse_options(given["option"])
    if "show" not in words:
        search = _open(given, own) if words and _begun(given) else _create(given, own)
        for note in search.notes:
            print(f"warning: {printable(note)}", file=sys.stderr)
        try:
            drive(search, _pool(search.folder, **running), lambda line: print(printable(line), flush=True))
        finally:
            search.close()
        given["out"] = search.folder
    show(Path(given["out"]), own.get("json", False))
    if "show" not in words:
        print(f"results: {printable(str(given['out']))}")


def _pool(
    folder: Path,
    workers: int = 1,
    threads: int | None = None,
    ray: str = "",
    cpus_per_trial: float = 1.0,
    gpus_per_trial: float = 0.0,
) -> Pool:
    """Return the pool of workers: processes on this machine, or tasks of a Ray cluster."""
    from tuning.distributed import drive

    if not ray:
        return drive.on_this_machine(workers, folder, threads)
    return drive.on_ray(ray, workers, folder, cpus=cpus_per_trial, gpus=gpus_per_trial)


def _begun(given: dict[str, Any]) -> bool:
    """Return whether --out has a search, or nothing was given to begin one with: a kill may come before the journal."""
    return any((Path(given["out"]) / name).exists() for name in NAMES) or not given.keys() & {"model", "corpus"}


def _create(given: dict[str, Any], own: dict[str, Any]) -> Search:
    """Begin a search after checking its configuration, its space and its data."""
    settings = resolve(flags.from_flags(given))
    if settings.network_file:
        raise UserError(
            f"--model {given['model']}: a search takes networks of the zoo and of installed packages, and "
            "this is one of a file. Make a package of it (docs/add-a-network.md), or give another network"
        )
    packages.check(settings)
    use_backend(settings.backend)  # before a builder's module imports Keras
    for name in upstream_runs.named(settings):
        raise UserError(
            f"{upstream_runs.FLAGS[name]} {getattr(settings, name)}: its models were trained on clips that the "
            "inner folds of a search validate on. Search without it, or train without a search"
        )
    source = open_source(settings)
    if "fold" in given and len(source.folds) != 1:
        raise UserError(f"--fold {given['fold']} names {len(source.folds)} folds; a search belongs to one")
    if not (source.protocol.speaker_independent or settings.allow_leakage):
        raise UserError(
            f"{source.protocol.name} is not speaker-independent: training the best trial needs --allow-leakage; "
            "add it, or choose another --protocol"
        )
    source = replace(source, folds=source.folds[:1])
    fold = source.folds[0].name.split("-")[0]
    own = {"tuner": "random", "trials": 20, "inner_folds": 3, **own}
    inner(source, own["inner_folds"])  # raises UserError where there are too few speakers
    base = {**given, "fold": fold, "backend": settings.backend}
    for name in ("data_root", "label_map", "audio_root"):
        if getattr(settings, name):
            base[name] = getattr(settings, name)  # absolute, so that it is found from any folder
    if own["tuner"] == "hyperband":
        own = {"max_epochs": settings.epochs, **own}
    folder = Path(base.pop("out", "") or f"searches/{settings.model}-{without_folders(settings.corpus)}-{own['tuner']}")
    description = {"model": settings.model, "base": base, "seed": settings.seed, **own}
    description["space"] = _space(settings.model, base, own)
    return Search.create(folder, description, feasible)


def _space(model: str, base: dict[str, Any], own: dict[str, Any]) -> spaces.Space:
    """Return the network's space with the user's changes, without what the user's flags fix."""
    return spaces.without(spaces.merge(spaces.of(model), own.get("vary", ()), own.get("space")), base)


def _open(given: dict[str, Any], own: dict[str, Any]) -> Search:
    """Continue a search. Flags given again must be those it was begun with."""
    folder = Path(given["out"])
    header = read(folder).header
    if "backend" in header["base"]:
        use_backend(header["base"]["backend"])  # before keras-tuner imports Keras
    names = ("tuner", "inner_folds", "prune", "max_epochs")
    expect = {**given, **{name: own[name] for name in names if name in own}}
    del expect["out"]
    if expect.get("data_root"):
        expect["data_root"] = str(Path(expect["data_root"]).expanduser().resolve())
    if "vary" in own or "space" in own:
        expect["space"] = _space(header["model"], header["base"], own)
    search = Search.open(folder, expect, feasible)
    if "trials" in own:
        search.raise_to(own["trials"])
    return search
