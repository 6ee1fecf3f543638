"""Search hyper-parameters of a network: trials on inner folds, grouped by speaker; test clips are never read.

    python scripts/tune.py --model cnn1d_mfcc --corpus ravdess --data-root DIR --fold 0 --tuner random --trials 60
    python scripts/tune.py --model attention_blstm_fcn --corpus iemocap --synthetic --tuner hyperband --workers 2
    python scripts/tune.py --out searches/NAME --resume --trials 80     # after a crash, or for more trials
    python scripts/tune.py --out searches/NAME --show                   # table, plots, the best as flags of train.py

A search belongs to one fold of its protocol (--fold, the first by default). Flags of train.py set what all trials
share; the network's search space, changed by --vary and --space, says what they differ in. Results lie in
searches/NAME: the journal search.jsonl, a run folder per trial, and what --show writes.

Workers on other machines: start the chief with --host 0.0.0.0 --port 8765 on a network you trust, for nothing is
encrypted, copy the token from searches/NAME/chief.json, and there
    SPEECH_ZOO_TOKEN=... python -m tuning.distributed.worker --chief ADDRESS:8765 --folder FOLDER --name NAME
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from tuning import space as spaces
from tuning.run_trial import feasible
from tuning.search import Search, read
from zoo.config import flags, run_config
from zoo.errors import UserError
from zoo.runs import upstream_runs
from zoo.runs.dataset import inner, open_source, resolve
from zoo.utils.backends import use_backend
from zoo.utils.cli import run

TUNERS = ("random", "grid", "bayesian", "hyperband")
OWN = ("tuner", "trials", "inner_folds", "prune", "max_epochs", "vary", "space", "resume", "show")
OWN_RUNNING = ("workers", "threads", "host", "port")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    _add_flags(parser)
    flags.add_flags(parser)
    given = vars(parser.parse_args())
    own = {name: given.pop(name) for name in (*OWN, *OWN_RUNNING) if name in given}
    running = {name: own.pop(name) for name in OWN_RUNNING if name in own}
    for name, least in (("workers", 0), ("threads", 1)):
        if running.get(name, least) < least:
            raise UserError(f"--{name} is {running[name]}, expected at least {least}")
    from tuning.distributed.chief import serve
    from tuning.results.show import show

    if own.get("show"):
        show(_folder(given, own))
        return
    search, folder = _open(given, own) if own.get("resume") else _create(given, own)
    try:
        serve(search, folder, on_event=print, **running)
    finally:
        search.close()
    show(folder)
    print(f"results: {folder}")


def _add_flags(parser: argparse.ArgumentParser) -> None:
    absent: dict[str, Any] = {"default": argparse.SUPPRESS}
    search = parser.add_argument_group("search")
    search.add_argument("--tuner", choices=TUNERS, help="how trials are proposed (default: random)", **absent)
    search.add_argument("--trials", type=int, help="finished trials to have in the end (default: 20)", **absent)
    search.add_argument("--inner-folds", type=int, help="folds of the training speakers (default: 3)", **absent)
    search.add_argument(
        "--prune", choices=("none", "median"), help="give trials up below the median, fold by fold", **absent
    )
    search.add_argument("--max-epochs", type=int, help="of hyperband's last rung (default: --epochs)", **absent)
    search.add_argument(
        "--vary", action="append", metavar="NAME=VALUES", help="V1,V2,... or LOW..HIGH or LOW..HIGH:log", **absent
    )
    search.add_argument("--space", metavar="FILE", help="a search space as JSON, in place of the network's", **absent)
    search.add_argument("--resume", action="store_true", help="go on with the search in --out", **absent)
    search.add_argument("--show", action="store_true", help="write and print what the search in --out found", **absent)
    working = parser.add_argument_group("workers")
    working.add_argument("--workers", type=int, help="processes on this machine (default: 1)", **absent)
    working.add_argument("--threads", type=int, help="threads of each (default: an even share)", **absent)
    working.add_argument("--host", help="address the chief listens on (default: 127.0.0.1)", **absent)
    working.add_argument("--port", type=int, help="port of the chief (default: any free one)", **absent)


def _folder(given: dict[str, Any], own: dict[str, Any]) -> Path:
    if not given.get("out"):
        raise UserError(f"--{'show' if own.get('show') else 'resume'} needs --out DIR, the folder of the search")
    return Path(given["out"])


def _create(given: dict[str, Any], own: dict[str, Any]) -> tuple[Search, Path]:
    """Begins a search, once its configuration, its space and its data have been looked at."""
    settings = resolve(flags.from_flags(given))
    use_backend(settings.backend)  # the networks' spaces stand beside their builders, which bring Keras with them
    _check_stands_alone(settings)
    source = open_source(settings)
    if "fold" in given and len(source.folds) != 1:
        raise UserError(f"--fold {given['fold']} names {len(source.folds)} folds; a search belongs to one, so give one")
    if not (source.protocol.speaker_independent or settings.allow_leakage):
        raise UserError(
            f"{source.protocol.name} is not speaker-independent, so that training the best trial under it needs "
            "--allow-leakage; add it, or choose another --protocol"
        )
    source = replace(source, folds=source.folds[:1])
    fold = source.folds[0].name.split("-")[0]
    n_folds = own.get("inner_folds", 3)
    inner(source, n_folds)  # tells of too few speakers
    base = {**given, "fold": fold, "backend": settings.backend}
    if settings.data_root:
        base["data_root"] = settings.data_root  # whole, so that it is found from any folder
    if "option" in given:
        base["option"] = flags.parse_options(given["option"])
    folder = Path(base.pop("out", "") or f"searches/{settings.model}-{settings.corpus}-{own.get('tuner', 'random')}")
    space = spaces.merge(spaces.of(settings.model), own.get("vary", ()), own.get("space"))
    space = spaces.without(space, base)
    spaces.check(settings.model, space)
    description = {
        "model": settings.model,
        "base": base,
        "space": space,
        "tuner": own.get("tuner", "random"),
        "trials": own.get("trials", 20),
        "seed": settings.seed,
        "inner_folds": n_folds,
        "prune": own.get("prune", "none"),
        "max_epochs": own.get("max_epochs", settings.epochs if own.get("tuner") == "hyperband" else None),
    }
    return Search.create(folder, description, feasible), folder


def _check_stands_alone(settings: run_config.RunConfig) -> None:
    """Raises UserError for a search behind another run's models, which have seen what trials are validated on."""
    for name in upstream_runs.named(settings):
        raise UserError(
            f"{upstream_runs.FLAGS[name]} {getattr(settings, name)}: its models were trained on clips that the inner "
            "folds of a search validate on. Search without it, or train without a search"
        )


def _open(given: dict[str, Any], own: dict[str, Any]) -> tuple[Search, Path]:
    """Goes on with a search. Flags given again must be those it was begun with."""
    folder = _folder(given, own)
    names = ("tuner", "inner_folds", "prune", "max_epochs")
    given = {name: value for name, value in given.items() if name != "out"}
    if given.get("data_root"):
        given["data_root"] = str(Path(given["data_root"]).expanduser().resolve())
    if "option" in given:
        given["option"] = flags.parse_options(given["option"])
    expect = {**given, **{name: own[name] for name in names if name in own}}
    header, _, _ = read(folder)
    use_backend(header["base"]["backend"])  # before keras-tuner brings Keras with it
    search = Search.open(folder, expect, feasible)
    space = search.header["space"]
    if "vary" in own or "space" in own:
        wanted = spaces.merge(spaces.of(search.header["model"]), own.get("vary", ()), own.get("space"))
        if spaces.without(wanted, search.header["base"]) != space:
            raise UserError(f"{folder}: the search has another space than --vary and --space give; leave them out")
    if "trials" in own:
        search.raise_to(own["trials"])
    return search, folder


if __name__ == "__main__":
    run(main)
