"""Train a network of the zoo on a corpus, fold by fold, and test it.

    python scripts/train.py --model attention_blstm_fcn --corpus iemocap --data-root DIR
    python scripts/train.py --model attention_blstm_fcn --corpus iemocap --synthetic
    python scripts/train.py --model attention_fcn --corpus ravdess --data-root DIR --fold 0 --out runs/mine --resume
    python scripts/train.py --model conv_lstm --corpus recola --data-root DIR
    python scripts/train.py --from-search searches/NAME
    python scripts/train.py --model cnn1d_mfcc --corpus ravdess --data-root DIR --fold all --workers 2
    python scripts/train.py --model cnn1d_mfcc --corpus ravdess --data-root DIR --seeds 0,1,2 --ray auto --workers 8 --out runs/three

Results lie in runs/NAME: config.json, metrics.json, predictions.csv and a figure of all folds together, and a folder
per fold with its model.keras, history.csv and curves.png. With --seeds, each seed has such a folder in --out, and
seeds.json there their mean.
"""

from zoo.utils.cli import run  # isort: skip  # first: it takes Ctrl-C

import argparse
import os
from pathlib import Path
from typing import Any

from zoo import catalogue
from zoo.config import flags
from zoo.config.run_config import RunConfig
from zoo.distributed.pool import Job, Pool
from zoo.errors import UserError
from zoo.runs import own_pool
from zoo.runs.dataset import open_source, resolve
from zoo.training import seeds as several
from zoo.utils.backends import announce_device, use_backend
from zoo.utils.text import printable

WORKERS: dict[str, dict[str, Any]] = {
    "seeds": {"metavar": "S,S,...", "help": "a run for each, in folders of --out, and their mean"},
    "workers": {"type": int, "help": "folds trained side by side, each in a process (default: one by one in this one)"},
    "threads": {"type": int, "help": "threads of each process on this machine (default: an even share)"},
    "ray": {"metavar": "ADDRESS", "help": "train folds on a Ray cluster: auto, ray://HOST:10001, or local"},
    "cpus_per_fold": {"type": float, "help": "cores of a fold on Ray (default: 1)"},
    "gpus_per_fold": {"type": float, "help": "GPUs of a fold on Ray, 0.25 for four on one (default: 0)"},
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=catalogue.in_plain_text(), formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out, with its flags")
    parser.add_argument(
        "--from-search", metavar="DIR", help="train the best trial of a search (tune.py), changed by the flags given"
    )
    group = parser.add_argument_group("folds and seeds side by side")
    for name, options in WORKERS.items():
        group.add_argument("--" + name.replace("_", "-"), default=argparse.SUPPRESS, **options)
    flags.add_flags(parser)
    given = vars(parser.parse_args())
    running = {name: given.pop(name) for name in WORKERS if name in given}
    resume, search = given.pop("resume"), given.pop("from_search")
    if search:
        from tuning.results.show import best_of

        found = best_of(Path(search))
        if "option" in given:
            given["option"] = {**found.get("option", {}), **flags.parse_options(given["option"])}
        given = {**found, **given}
    seeds = _seeds(running.pop("seeds", None), given, resume)
    _check_workers(running)
    every = [_settings(one, resume) for one in seeds.values()] if seeds else [_settings(given, resume)]
    settings = every[0]
    if running:  # this process may not take all of a GPU's memory
        os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
        _check_devices(settings.devices, running)
    use_backend(settings.backend)
    open_source(resolve(settings))  # reports a wrong folder before the backend takes its seconds to start
    out = Path(given["out"]) if seeds else None
    if out:
        several.begin(out, list(seeds), resume)

    from zoo.runs.folder import read_record
    from zoo.training import side_by_side  # after the backend is chosen
    from zoo.training.tasks import base as tasks
    from zoo.training.train import train

    announce_device()
    if running:
        finished = side_by_side.train(every, resume, lambda *of: _pool(*of, **running), out)
    else:
        finished = [train(one, resume) for one in every]
    records = [read_record(one.folder) for one in finished]
    task = tasks.of(settings.model)
    for one, record in zip(finished, records, strict=True):
        task.report.print_metrics(record, f"{one.title()}{f', seed {one.config.seed}' * bool(seeds)}")
    for line in own_pool.in_words(records[0].get("corpora", {})):
        print(printable(line))
    if out:
        for line in several.summarise(out, dict(zip(seeds, records, strict=True)), task.FIGURES.compared):
            print(line)
    print(f"results: {printable(str(out or finished[0].folder))}")


def _settings(given: dict[str, Any], resume: bool) -> RunConfig:
    return flags.resume(given) if resume else flags.from_flags(given)


def _seeds(text: str | None, given: dict[str, Any], resume: bool) -> dict[int, dict[str, Any]]:
    """Return the flags of each seed's run, none for a single run; with `resume` the seeds may be those begun with."""
    out = Path(given.get("out") or "")
    if text is None and not (resume and given.get("out") and several.known(out)):
        return {}
    if not given.get("out"):
        raise UserError(f"--seeds {text} needs --out DIR, the folder of their runs")
    if "seed" in given:
        raise UserError(f"--seed {given['seed']} and --seeds exclude each other; give one of them")
    seeds = several.known(out) if text is None else several.parse(text)
    return {seed: {**given, "seed": seed, "out": str(several.folder(out, seed))} for seed in seeds}


def _check_workers(running: dict[str, Any]) -> None:
    """Raise UserError for flags of workers that are out of range, or have no effect together."""
    for name, value in running.items():
        least = {"workers": 1, "threads": 1, "cpus_per_fold": 0.01, "gpus_per_fold": 0.0}.get(name)
        if least is not None and not value >= least:
            raise UserError(f"--{name.replace('_', '-')} is {value}, expected at least {least:g}")
    for name in ("threads",) if "ray" in running else ("cpus_per_fold", "gpus_per_fold"):
        if name in running:
            where = "on this machine alone" if "ray" in running else "with --ray alone"
            raise UserError(f"--{name.replace('_', '-')} has an effect {where}; leave it out")
    if "threads" in running and "workers" not in running:
        raise UserError(f"--threads {running['threads']} has an effect with --workers alone; add that, or leave it out")


def _check_devices(devices: int, running: dict[str, Any]) -> None:
    """Raise UserError where the folds of workers cannot have so many devices each."""
    has = running.get("gpus_per_fold", 0) if "ray" in running else 1
    if devices > max(1, has):
        advice = f"Add --gpus-per-fold {devices}" if "ray" in running else "Leave --workers out"
        raise UserError(f"--devices {devices}: a worker has one device. {advice}, or leave --devices out")


def _pool(
    folder: Path,
    job: Job,
    workers: int = 1,
    threads: int | None = None,
    ray: str = "",
    cpus_per_fold: float = 1.0,
    gpus_per_fold: float = 0.0,
) -> Pool:
    """Return the pool of workers: processes on this machine, or tasks of a Ray cluster."""
    if not ray:
        from zoo.distributed.local_workers import LocalWorkers

        return LocalWorkers(workers, folder, job, threads=threads)
    from zoo.distributed.ray_workers import RayWorkers
    from zoo.training.side_by_side import MARK

    return RayWorkers(ray, workers, folder, job, MARK, cpus=cpus_per_fold, gpus=gpus_per_fold)


if __name__ == "__main__":
    run(main)
