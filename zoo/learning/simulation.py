"""Run a simulation of labelling over folds and seeds; keep what is finished, and write curve.csv and summary.json."""

import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from zoo import registry
from zoo.config import saved
from zoo.config.run_config import RunConfig
from zoo.data.schema import Clip, Fold
from zoo.errors import UserError
from zoo.learning import plan as plans
from zoo.learning.active import Labels, Point, full_score, simulate
from zoo.learning.labelling import label_file
from zoo.learning.labelling.label_file import Label
from zoo.learning.learner import Learner
from zoo.learning.linear_learner import LinearLearner
from zoo.learning.network_learner import NetworkLearner
from zoo.learning.plan import Plan
from zoo.metrics.classification import speaker_confusions
from zoo.runs import sides
from zoo.runs.dataset import open_source, resolve
from zoo.runs.lock import alone_in
from zoo.training.evaluate import differences
from zoo.training.run import Run
from zoo.training.train import prepare
from zoo.utils.atomic_files import ASIDE, write_json
from zoo.utils.json_files import read_json
from zoo.utils.progress import Progress

SETTINGS = "learning.json"
_FACTS = ("model", "recipe", "corpus", "protocol", "synthetic", "speaker_independent", "notes", "leakage")


def run(config: RunConfig, plan: Plan, seeds: Sequence[int], out: Path, second: RunConfig | None = None) -> None:
    """Simulate labelling in every fold for every seed; `second` configures the other view of co-training.

    A finished fold and seed lies in `out`/fold-N/seed-S.json, and is not simulated again by a later call with the same
    settings; further seeds may be added. Raises UserError for anything a user can repair.
    """
    config = replace(resolve(config), out=str(out))
    check(config, plan, seeds)
    source = open_source(config)
    sides.need(config, source.folds, "validation", "test")
    for fold in source.folds:
        plans.check_pool(plan, fold.name, _counted(fold, source.protocol.classes))
    about = {"plan": asdict(plan), "config": _kept(config)}
    if second:
        about["second"] = _kept(second)
    with opened(out, about), Progress() as progress:
        views = [prepare(out, config, source, progress)]
        if second:
            views.append(prepare(out / "second-view", replace(resolve(second), out=str(out)), source, progress))
        for fold in views[0].source.folds:
            _finish(fold, views, plan, seeds, out, progress)
        write_json(out / "facts.json", _facts(views[0], seeds))


def check(config: RunConfig, plan: Plan, seeds: Sequence[int]) -> None:
    """Raise UserError for settings that cannot work, before any recording is read."""
    plans.check(plan)
    if len(set(seeds)) != len(seeds) or any(seed < 0 for seed in seeds):
        raise UserError(f"--seeds is {' '.join(map(str, seeds))}, expected different numbers from 0")
    check_model(config, "--model")


def check_model(config: RunConfig, flag: str) -> None:
    """Raise UserError for a model that gives no probabilities of classes, or that cannot be fitted on a few clips."""
    entry = registry.get(config.model)
    if entry.task != "emotion":
        raise UserError(
            f"{flag} {config.model} gives no probabilities of classes, by which machine and queries decide. Choose a "
            "network that classifies (ser train --help-all lists them)"
        )
    if entry.fitted == "linear" and (entry.frontend != "acoustic" or "components" in entry.options):
        raise UserError(
            f"{flag} {config.model} needs another run or more labelled clips than a start has; choose compare_svm or "
            "egemaps_svm, or a network that is trained by gradient"
        )
    if entry.fitted == "linear" and (config.refit or config.augment_waveforms != "none"):
        raise UserError(
            f"learn.py fits {config.model} on clips as they are, and on no validation clips: leave out --refit and "
            "--augment-waveforms, or choose another --recipe"
        )


@contextmanager
def opened(out: Path, about: dict[str, Any]) -> Iterator[None]:
    """Hold the folder of a simulation with these settings. Raises UserError where it holds something else."""
    about = json.loads(json.dumps(about))  # as it will be read back
    path = out / SETTINGS
    _check_same(out, path, about)  # before the lock, which would clear what others write there
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{out}: cannot be made ({error.strerror}); give another --out") from error
    with alone_in(out):
        if not path.is_file():
            write_json(path, about)
        yield


def _check_same(out: Path, path: Path, about: dict[str, Any]) -> None:
    if path.is_file():
        before = read_json(path, "the settings of a simulation", {"plan": dict, "config": dict}, "Give another --out")
        if changed := differences("", before, about, "{name} was {before}, now {after}"):
            raise UserError(
                f"{out} holds a simulation of other settings: {'; '.join(changed)}. Repeat them, or give another --out"
            )
    elif out.is_file() or (out.is_dir() and any(_is_foreign(item) for item in out.iterdir())):
        raise UserError(f"{out} exists already and holds no simulation ({SETTINGS} is absent); give another --out")


def _is_foreign(item: Path) -> bool:
    return item.name != ".lock" and not item.name.startswith(ASIDE)


def _kept(config: RunConfig) -> dict[str, Any]:
    """Return the settings that decide the result; seeds are those of the simulation."""
    return {name: value for name, value in config.saved().items() if name not in (*saved.PLACES, "seed")}


def _counted(fold: Fold, classes: Sequence[str]) -> dict[str, int]:
    found = Counter(clip.label for clip in fold.train)
    return {name: found[name] for name in classes}


def _finish(fold: Fold, views: Sequence[Run], plan: Plan, seeds: Sequence[int], out: Path, progress: Progress) -> None:
    """Simulate labelling in a fold for those seeds that are not finished, and fit on its whole pool."""
    folder = out / f"fold-{fold.name}"
    todo = [seed for seed in seeds if not (folder / f"seed-{seed}.json").is_file()]
    if (folder / "full.json").is_file() and not todo:
        return
    labels, learners = _labels(fold, views[0]), [_learner(view, fold, progress) for view in views]
    if not (folder / "full.json").is_file():
        start = time.perf_counter()
        point = full_score(labels, learners[0])
        speakers, totals = speaker_confusions(labels.test, labels.test, labels.test_speakers, len(labels.classes))
        totals = np.diagonal(totals, axis1=1, axis2=2)
        whole = {"row": point.row, "hits": point.hits.tolist(), "speakers": speakers, "totals": totals.tolist()}
        write_json(folder / "full.json", {**whole, "seconds": time.perf_counter() - start})
        progress.line(f"fold {fold.name}  all {len(labels.pool)} labels  UA {100 * point.row['ua']:.1f} %")
    for seed in todo:
        _one_curve(fold, labels, learners, plan, seed, folder, progress)


def _one_curve(fold, labels: Labels, learners, plan: Plan, seed: int, folder: Path, progress: Progress) -> None:
    """Simulate one curve; write its labels while they are given, and its points in the end."""
    start, points, file = time.perf_counter(), [], folder / f"labels-seed-{seed}.csv"
    file.unlink(missing_ok=True)  # of a call that did not come to the end
    before: Point | None = None
    with progress.task(f"fold {fold.name}, seed {seed}, labels", plan.budget) as advance:
        for point in simulate(labels, learners, plan, seed):
            label_file.append(file, _new_labels(file, fold.train, labels.classes, before, point))
            points.append({"row": point.row, "hits": point.hits.tolist()})
            before = point
            advance(point.row["labels"])
    assert before is not None
    seconds = time.perf_counter() - start
    progress.line(
        f"fold {fold.name}  seed {seed}  {before.row['labels']} labels  {before.row['machine_labels']} by the machine"
        f"  UA {100 * before.row['ua']:.1f} %  {seconds:.1f} s"
    )
    write_json(folder / f"seed-{seed}.json", {"points": points, "seconds": seconds})


def _new_labels(
    file: Path, clips: Sequence[Clip], classes: Sequence[str], before: Point | None, point: Point
) -> list[Label]:
    """Return the rows that a point adds: people's labels, the machine's, and those of its own that it takes back."""

    def row(clip: int, label: str, rater: str, source: str, confidence: float | None = None) -> Label:
        name = label_file.file_name(file, clips[clip].path)
        start, end = clips[clip].start_seconds, clips[clip].end_seconds
        return Label(name, label, rater, source, start, end, confidence=confidence)

    asked = point.people[len(before.people) if before else 0 :]
    had = before.machine if before else {}
    return [
        *(row(clip, clips[clip].label, "corpus", "human") for clip in asked),
        *(row(clip, "", "machine", "model") for clip in had if clip not in point.machine),
        *(
            row(clip, classes[label], "machine", "model", point.confidence[clip])
            for clip, label in point.machine.items()
            if had.get(clip) != label
        ),
    ]


def _labels(fold: Fold, run: Run) -> Labels:
    classes = run.source.protocol.classes
    pool, test = (np.array([classes.index(clip.label) for clip in side]) for side in (fold.train, fold.test))
    return Labels(pool, test, [clip.speaker for clip in fold.test], classes)


def _learner(run: Run, fold: Fold, progress: Progress) -> Learner:
    if registry.get(run.config.model).fitted != "linear":
        return NetworkLearner(run, fold, progress)
    classes = run.source.protocol.classes
    sides = (np.concatenate([run.features[clip.name].read() for clip in side]) for side in fold.sides)
    pool, validation, test = sides
    truth = np.array([classes.index(clip.label) for clip in fold.validation])
    return LinearLearner(pool, validation, test, truth, len(classes), run.config.complexities)


def _facts(run: Run, seeds: Sequence[int]) -> dict[str, Any]:
    """Return what the report says of the data."""
    return {
        **{
            name: run.facts[name] for name in ("model", "recipe", "corpus", "protocol", "synthetic", "notes", "leakage")
        },
        "bad_clips": len(run.facts["bad_clips"]),
        "speaker_independent": run.facts["speaker_independent"],
        "classes": list(run.source.protocol.classes),
        "seeds": list(seeds),
        "folds": [
            {"fold": fold.name, "pool": len(fold.train), "validation": len(fold.validation), "test": len(fold.test)}
            for fold in run.source.folds
        ],
    }
