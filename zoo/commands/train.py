"""Train a network of the zoo on a corpus, fold by fold, and test it.

    python scripts/train.py --model attention_blstm_fcn --corpus iemocap --data-root DIR
    python scripts/train.py --model attention_blstm_fcn --corpus iemocap --synthetic
    python scripts/train.py --model attention_fcn --corpus ravdess --data-root DIR --fold 0 --out runs/mine --resume
    python scripts/train.py --model conv_lstm --corpus recola --data-root DIR
    python scripts/train.py --from-search searches/NAME
    python scripts/train.py ... --fold final --epochs-from runs/FOLDS --figures-from runs/FOLDS
    python scripts/train.py --model cnn1d_mfcc --corpus ravdess --data-root DIR --fold all --workers 2
    python scripts/train.py --model cnn1d_mfcc --corpus ravdess --data-root DIR --seeds 0,1 --ray auto --out runs/two

Results lie in runs/NAME: config.json, metrics.json, predictions.csv and a figure of all folds together, and a folder
per fold with its model.keras, history.csv and curves.png. With --seeds, each seed has such a folder in --out, and
seeds.json there their mean.
"""

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from zoo import catalogue, registry
from zoo.config import flags, packages
from zoo.config.run_config import RunConfig
from zoo.distributed import flags as worker_flags
from zoo.errors import UserError
from zoo.runs import folds_of_final, own_pool, sides
from zoo.runs.dataset import open_source, resolve
from zoo.training import seeds as several
from zoo.utils.backends import announce_device, use_backend
from zoo.utils.parser import Parser
from zoo.utils.text import printable

WORKERS: dict[str, dict[str, Any]] = {
    "seeds": {"nargs": "+", "metavar": "N", "help": "a run for each, in folders of --out, and their mean"},
    **worker_flags.of("fold", "one after the other in this process"),
}


def main() -> None:
    parser = Parser(description=__doc__, epilog=catalogue.in_plain_text())
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out, with its flags")
    parser.add_argument(
        "--from-search", metavar="DIR", help="train the best trial of a search (tune.py), changed by the flags given"
    )
    group = parser.add_argument_group("folds and seeds side by side")
    for name, options in WORKERS.items():
        group.add_argument("--" + name.replace("_", "-"), default=argparse.SUPPRESS, **options)
    flags.add_flags(parser)
    parser.add_argument(
        "--epochs-from",
        type=Path,
        metavar="RUN",
        help="as many epochs as a finished run needed; keep the last",
    )
    parser.hide(["from_search", "epochs_from", *(name for name in WORKERS if name != "workers")])
    given = vars(parser.parse_args())
    running = {name: given.pop(name) for name in WORKERS if name in given}
    resume, search = given.pop("resume"), given.pop("from_search")
    if (folds := given.pop("epochs_from")) is not None:
        for name in ("epochs", "keep"):
            if name in given:
                raise UserError(f"--epochs-from and --{name} exclude each other; give one of them")
        given |= {"epochs": folds_of_final.epochs(folds), "keep": "last"}
        print(f"--epochs {given['epochs']} --keep last, as {printable(str(folds))} had it")
    if search:
        from tuning.results.show import best_of

        found = best_of(Path(search))
        if "option" in given:
            given["option"] = {**found.get("option", {}), **flags.parse_options(given["option"])}
        given = {**found, **given}
    elif not resume:
        flags.need_corpus(given)
    seeds = _seeds(_joined(running.pop("seeds", None)), given, resume)
    _check_workers(running)
    every = _of_seeds(seeds, given, resume) if seeds else [_settings(given, resume)]
    if running:
        _check_devices(every[0].devices, running)
        for name, value in (("TF_FORCE_GPU_ALLOW_GROWTH", "true"), ("XLA_PYTHON_CLIENT_PREALLOCATE", "false")):
            os.environ.setdefault(name, value)  # this process may not take all of a GPU's memory
    packages.check(every[0])
    use_backend(every[0].backend)
    resolved = resolve(every[0])
    # Reports a wrong folder before the backend takes its seconds to start.
    sides.check(resolved, open_source(resolved).folds)
    out = Path(given["out"]) if seeds else None
    if out:
        several.begin(out, seeds, resume)
    _train(every, resume, running, out)


def _train(every: Sequence[RunConfig], resume: bool, running: Mapping[str, Any], out: Path | None) -> None:
    """Train runs, and print their figures; `out` is the folder around those of several seeds."""
    from zoo.reports.tables import print_untested
    from zoo.runs.folder import is_tested, read_record
    from zoo.training import side_by_side  # after the backend is chosen
    from zoo.training.tasks import base as tasks
    from zoo.training.train import train

    if not registry.get(every[0].model).trains_without_keras:
        announce_device()
    finished = side_by_side.train(every, resume, running, out) if running else [train(one, resume) for one in every]
    task, records = tasks.of(every[0].model), [read_record(one.folder) for one in finished]
    for one, record in zip(finished, records, strict=True):
        shown = task.report.print_metrics if is_tested(record) else print_untested
        shown(record, f"{one.title()}{f', seed {one.config.seed}' if out else ''}")
    for line in own_pool.in_words(records[0].get("corpora", {})):
        print(printable(line))
    if out and is_tested(records[0]):
        by_seed = {one.config.seed: record for one, record in zip(finished, records, strict=True)}
        for line in several.summarise(out, by_seed, task.FIGURES.compared):
            print(line)
    print(f"results: {printable(str(out or finished[0].folder))}")


def _settings(given: dict[str, Any], resume: bool) -> RunConfig:
    return flags.resume(given) if resume else flags.from_flags(given)


def _joined(words: Sequence[str] | None) -> str | None:
    return None if words is None else ",".join(words)


def _seeds(text: str | None, given: dict[str, Any], resume: bool) -> list[int]:
    """Return the seeds of several runs, none for a single run; with `resume` they may be those begun with."""
    if text is None:
        return several.known(Path(given["out"])) if resume and given.get("out") else []
    if not given.get("out"):
        raise UserError(f"--seeds {text} needs --out DIR, the folder of their runs")
    if "seed" in given:
        raise UserError(f"--seed {given['seed']} and --seeds exclude each other; give one of them")
    return several.parse(text)


def _of_seeds(seeds: Sequence[int], given: dict[str, Any], resume: bool) -> list[RunConfig]:
    """Return the configuration of each seed's run. Those that a killed start did not reach have the flags of others."""
    folders = [several.folder(Path(given["out"]), seed) for seed in seeds]
    begun = next((folder for folder in folders if (folder / "config.json").is_file()), folders[0])
    first = _settings({**given, "out": str(begun)}, resume)
    return [replace(first, seed=seed, out=str(folder)) for seed, folder in zip(seeds, folders, strict=True)]


def _check_workers(running: dict[str, Any]) -> None:
    """Raise UserError for flags of workers that are out of range, or have no effect together."""
    worker_flags.check(running, "fold")
    if "threads" in running and "workers" not in running:
        raise UserError(f"--threads {running['threads']} has an effect with --workers alone; add that, or leave it out")


def _check_devices(devices: int, running: dict[str, Any]) -> None:
    """Raise UserError where the folds of workers cannot have so many devices each."""
    has = running.get("gpus_per_fold", 0) if "ray" in running else 1
    if devices > max(1, has):
        advice = f"Add --gpus-per-fold {devices}" if "ray" in running else "Leave --workers out"
        raise UserError(f"--devices {devices}: a worker has one device. {advice}, or leave --devices out")
