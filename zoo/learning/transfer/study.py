"""Measure what a source corpus adds to few labelled clips of a target corpus, on the target's unseen speakers."""

import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import keras
import numpy as np

from zoo import registry
from zoo.config import saved as config_saved
from zoo.config.run_config import RunConfig
from zoo.data.schema import Clip, Fold
from zoo.errors import UserError, shortened
from zoo.features import from_config
from zoo.learning.transfer import methods as transfer_methods
from zoo.learning.transfer import network as transfer_network
from zoo.learning.transfer.corpora import Corpus, draw, read
from zoo.learning.transfer.methods import Domains, Labelled
from zoo.runs import environment
from zoo.runs.dataset import audit_folds, fingerprint, resolve
from zoo.runs.lock import alone_in
from zoo.training import transfer
from zoo.utils.atomic_files import ASIDE, write_json
from zoo.utils.json_files import read_json
from zoo.utils.progress import Progress

SETTINGS = "settings.json"
CELLS = "cells"
_COMPONENTS = 300
_OURS = "results of scripts/transfer.py"
Cell = dict[str, dict[str, list[int]]]  # method -> budget -> predictions of the fold's test clips


@dataclass(frozen=True)
class Plan:
    """What is measured: `budgets` are numbers of labelled target clips; each of `seeds` draws them anew."""

    methods: tuple[str, ...]
    budgets: tuple[int, ...] = (10, 25, 50, 100)
    seeds: tuple[int, ...] = (0, 1, 2)


def check(target: RunConfig, plan: Plan) -> None:
    """Raise UserError for a network or methods that the study cannot be made with, before anything is read."""
    entry = registry.get(target.model)
    if entry.task != "emotion" or entry.frontend == "joint" or (entry.fitted == "linear" and entry.takes_waveforms):
        raise UserError(
            f"--model {target.model}: expected compare_svm, egemaps_svm or a network for emotions, found another kind. "
            "Choose one of these"
        )
    known = methods_of(target.model)
    for name in plan.methods:
        if name not in known:
            raise UserError(f"--methods {name}: {target.model} has {', '.join(known)}. Choose of these")
    if any(budget < 1 for budget in plan.budgets) or len(set(plan.budgets)) < len(plan.budgets) or not plan.seeds:
        raise UserError("--budgets: expected different numbers of clips, at least 1 each, and a seed")
    needs_start = set(plan.methods) - {"nothing"} if entry.fitted == "gradient" else set()
    if needs_start and not target.init_from:
        raise UserError(f"--methods {shortened(sorted(needs_start))} need --init-from, a run on the source. Add it")


def methods_of(model: str) -> dict[str, str]:
    """Return the methods of a model, with a title each."""
    if registry.get(model).fitted == "gradient":
        return transfer_network.TITLES
    return {name: method.title for name, method in transfer_methods.METHODS.items()}


def measure(target: RunConfig, source: RunConfig | None, plan: Plan, out: Path) -> dict[str, Any]:
    """Train and predict with every method, budget, seed and fold; return what the report writes.

    `source` is the other corpus; networks have it in the weights they begin with. Finished folds and seeds are kept in
    `out`. Raises UserError for anything a user can repair.
    """
    check(target, plan)
    begun = time.monotonic()
    with opened(out), Progress() as progress:
        theirs = read(target, progress)
        ours = read(source, progress) if source else None
        classes = tuple(sorted({clip.label for clip in theirs.source.clips}))
        if min(plan.budgets) < len(classes):
            raise UserError(
                f"--budgets {min(plan.budgets)}: expected at least one clip of each of the {len(classes)} classes "
                f"({', '.join(classes)}). Give larger ones"
            )
        facts = {**_facts(theirs, ours, plan, classes), **_leakage(theirs, ours)}
        _check_same(out, facts["settings"])
        jobs = [(fold, seed) for fold in theirs.source.folds for seed in plan.seeds]
        begin = _of_vectors(theirs, ours, classes, target) if ours else _of_network(theirs, classes, target, out)
        with progress.task("folds and seeds", len(jobs)) as advance:
            for done, (fold, seed) in enumerate(jobs, start=1):
                _cell(fold, seed, plan, classes, out, begin, progress)
                advance(done)
    cells = {seed: [_kept(out, fold, seed) for fold in theirs.source.folds] for seed in plan.seeds}
    tested = [[(clip.name, clip.speaker, clip.label) for clip in fold.test] for fold in theirs.source.folds]
    return {**facts, "cells": cells, "tested": tested, "seconds_of_this_call": time.monotonic() - begun}


@contextmanager
def opened(out: Path) -> Iterator[None]:
    """Make and lock the folder of a study. Raises UserError for one that holds something else."""
    try:
        (out / CELLS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{out}: cannot be made ({error.strerror}); give another --out") from error
    names = {path.name for path in out.iterdir() if not path.name.startswith((ASIDE, ".lock"))} - {CELLS}
    if names and SETTINGS not in names:
        raise UserError(f"{out}: expected a new folder, found {shortened(sorted(names))} in it. Give another --out")
    with alone_in(out):
        yield


def _check_same(out: Path, settings: Mapping[str, Any]) -> None:
    path = out / SETTINGS
    if path.is_file() and read_json(path, _OURS) != settings:
        before = read_json(path, _OURS, {str: object})
        changed = [name for name in settings if before.get(name) != settings[name]]
        raise UserError(f"{out} holds results of other settings ({', '.join(changed)}). Give another --out")
    write_json(path, settings)


def _leakage(theirs: Corpus, ours: Corpus | None) -> dict[str, Any]:
    """Return findings of the audit, and what initial weights are; refuse recordings that both corpora have."""
    config = theirs.config
    findings = audit_folds(theirs.source, theirs.hashes, config.allow_leakage)
    if ours:
        known = set(ours.hashes.values())
        shared = [clip.name for clip in theirs.source.clips if theirs.hashes[clip.name] in known]
        if shared:
            raise UserError(
                f"{len(shared)} recordings of {config.corpus} are in {ours.config.corpus} too: {shortened(shared)}. "
                "Expected two corpora without common ones. Give another --source"
            )
        return {"leakage": findings}
    origins = transfer.origins(config, theirs.source)
    extractor = from_config.extractor(config)
    findings += transfer.audit(origins, theirs.source, theirs.hashes, extractor, config)
    return {"leakage": findings, "initial": [origin.about for origin in origins.values()]}


def _facts(theirs: Corpus, ours: Corpus | None, plan: Plan, classes: Sequence[str]) -> dict[str, Any]:
    config, source = theirs.config, theirs.source
    sizes = {fold.name: [len(fold.train) + len(fold.validation), len(fold.test)] for fold in source.folds}
    own = {name: value for name, value in config.saved().items() if name not in config_saved.PLACES}
    settings = {
        "target": {name: own[name] for name in own if name not in ("backend", "seed")},
        "target_sha256": fingerprint(source, theirs.hashes),
        "source": ours.config.corpus if ours else "",
        "source_sha256": fingerprint(ours.source, ours.hashes) if ours else "",
        "methods": list(plan.methods),
        "budgets": list(plan.budgets),
        "seeds": list(plan.seeds),
    }
    of_source = {clip.label for clip in ours.source.clips} if ours else set(classes)
    return {
        "settings": _plain(settings),
        "model": config.model,
        "target": config.corpus,
        "source": ours.config.corpus if ours else "",
        "protocol": f"{source.protocol.name} v{source.protocol.version}",
        "speaker_independent": source.protocol.speaker_independent,
        "classes": list(classes),
        "classes_without_source": sorted(set(classes) - of_source),
        "labels": {one.config.corpus: dict(one.labels) for one in (theirs, ours) if one},
        "folds": {name: {"pool_clips": pool, "test_clips": test} for name, (pool, test) in sizes.items()},
        "titles": {name: title for name, title in methods_of(config.model).items() if name in plan.methods},
        "notes": list(source.notes),
        "versions": environment.here(config),
        "backend": keras.backend.backend(),
    }


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as they are read back from JSON: tuples are lists there."""
    return {
        name: _plain(value) if isinstance(value, Mapping) else list(value) if isinstance(value, tuple) else value
        for name, value in settings.items()
    }


# (fold, seed) -> (method, budget, labelled clips) -> class indices of the test clips
Predict = Callable[[str, Sequence[Clip], Labelled], np.ndarray]
Begin = Callable[[Fold, int], Predict]


def _cell(
    fold: Fold, seed: int, plan: Plan, classes: Sequence[str], out: Path, begin: Begin, progress: Progress
) -> None:
    """Predict a fold's test clips with every method and budget of a seed, and keep that in a file."""
    path = _path(out, fold, seed)
    if path.is_file():
        return
    start, found = time.monotonic(), {}
    pool = (*fold.train, *fold.validation)
    labels = np.array([classes.index(clip.label) for clip in pool])
    predict = begin(fold, seed)
    for method in plan.methods:
        of_method: dict[str, list[int]] = {}
        for budget in plan.budgets:
            chosen = np.array(draw(pool, budget, seed))
            if of_method and method in _WITHOUT_LABELS:
                of_method[str(budget)] = next(iter(of_method.values()))  # no label is used
                continue
            predicted = predict(method, [pool[index] for index in chosen], Labelled(chosen, labels[chosen]))
            of_method[str(budget)] = [int(index) for index in predicted]
        found[method] = of_method
    write_json(path, {"predictions": found, "seconds": time.monotonic() - start})
    progress.line(f"fold {fold.name}, seed {seed}: {time.monotonic() - start:.0f} s")


_WITHOUT_LABELS = (*(n for n, m in transfer_methods.METHODS.items() if not m.needs_labels), *transfer_network.UNTRAINED)


def _path(out: Path, fold: Fold, seed: int) -> Path:
    return out / CELLS / f"{re.sub(r'[^A-Za-z0-9._-]+', '-', fold.name)}-seed-{seed}.json"


def _kept(out: Path, fold: Fold, seed: int) -> dict[str, Any]:
    return read_json(_path(out, fold, seed), _OURS, {"predictions": {str: {str: [int]}}, "seconds": float})


def _of_vectors(theirs: Corpus, ours: Corpus, classes: Sequence[str], config: RunConfig) -> Begin:
    """Return what trains linear models on functionals. C is chosen on the source's own validation speakers."""
    clips = [clip for clip in ours.source.clips if clip.label in classes]
    if not clips:
        found = f"{ours.config.corpus} has none of the classes of {theirs.config.corpus}, {', '.join(classes)}"
        raise UserError(f"{found}. Give another --source")
    source, labels = ours.vectors(clips), np.array([classes.index(clip.label) for clip in clips])
    first, names = ours.source.folds[0], {clip.name: index for index, clip in enumerate(clips)}
    sides = [[names[clip.name] for clip in side if clip.name in names] for side in (first.train, first.validation)]
    mean, deviation = source[sides[0]].mean(axis=0), source[sides[0]].std(axis=0)
    scaled = (source - mean) / np.where(deviation < 1e-7, 1.0, deviation)
    pairs = [(scaled[side], labels[side]) for side in sides]
    c = transfer_methods.choose_complexity(pairs[0], pairs[1], [c * source.shape[1] for c in config.complexities])

    @lru_cache(maxsize=1)
    def of_fold(number: int) -> Domains:
        fold = theirs.source.folds[number]
        pool, test = theirs.vectors((*fold.train, *fold.validation)), theirs.vectors(fold.test)
        some = transfer_methods.standardized(source, pool, test, _COMPONENTS)
        return Domains(some[0], labels, *some[1:], complexity=c)

    def begin(fold: Fold, seed: int) -> Predict:
        domains = replace(of_fold(theirs.source.folds.index(fold)), seed=seed)
        return lambda method, _, given: transfer_methods.METHODS[method].predict(domains, given)

    return begin


def _of_network(theirs: Corpus, classes: Sequence[str], config: RunConfig, out: Path) -> Begin:
    """Return what trains networks, from initial weights and from nothing; their folders are removed."""

    def begin(fold: Fold, seed: int) -> Predict:
        def predict(method: str, labelled: Sequence[Clip], given: Labelled) -> np.ndarray:
            folder = out / "training"
            shutil.rmtree(folder, ignore_errors=True)
            settings = replace(resolve(config), seed=seed)
            found = transfer_network.predict(method, theirs, fold, labelled, classes, settings, folder)
            shutil.rmtree(folder, ignore_errors=True)
            return found

        return predict

    return begin
