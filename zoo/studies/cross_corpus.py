"""Train on each corpus of a pool and test on each: a matrix of UA with intervals over speakers.

The folds of the study, whose names say what they are of:

    N.K-within-A    one of five folds of corpus A by speaker: together the diagonal
    N-from-A        trained on A, of whose speakers a fifth choose the epoch or C; tested on all other corpora
    N-others-to-B   trained on all corpora but B; tested on B

Nothing is fitted or chosen on clips of a tested corpus. With features standardised by corpus, those of a tested one are
so by its own clips without their labels (zoo.features.corpus_normalization).
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zoo import registry
from zoo.config.run_config import RunConfig
from zoo.data.corpora.pool import CORPUS, members, of_corpora
from zoo.data.protocols import pool as protocols
from zoo.data.schema import Clip, Fold
from zoo.errors import UserError
from zoo.inference.categorical import of_features
from zoo.inference.predictor import checked, in_turn
from zoo.runs import begin
from zoo.runs.dataset import Source, open_source
from zoo.runs.folder import fold_folder, read_rows
from zoo.runs.model_file import load_model
from zoo.studies import cross_corpus_cells
from zoo.studies.cross_corpus_cells import OTHERS, Rows
from zoo.training import checkpoint, fit_linear
from zoo.training.fit import fit, kept_epoch
from zoo.training.run import Run
from zoo.training.tasks import classification
from zoo.training.train import fold_data, of_fold, prepare
from zoo.utils.atomic_files import write_csv, write_json
from zoo.utils.json_files import read_json
from zoo.utils.progress import Progress
from zoo.utils.text import file_name

_FITTED = {"fold": str, "train_clips": int, "validation_clips": int, "validation_ua": float, "c": str, "seconds": float}


@dataclass(frozen=True)
class Part:
    """What one fold of the study is for: `trained_on` a corpus or OTHERS, tested on `tested_on`."""

    fold: Fold
    trained_on: str
    tested_on: tuple[str, ...]


def check(config: RunConfig) -> None:
    """Raise UserError for a network that the study cannot be made with, before anything is read."""
    entry = registry.get(config.model)
    if entry.task != "emotion" or entry.frontend == "joint" or config.enhancer:
        raise UserError(
            f"--model {config.model}: expected a network that classifies emotion by its own features, found one for "
            f"{entry.task}{' behind another run' * (entry.task == 'emotion')}. Choose another: ser train --help-all"
        )


def measure(
    config: RunConfig,
    normalizations: Sequence[bool],
    seeds: Sequence[int],
    families: Mapping[str, Sequence[str]],
    others: bool = True,
) -> dict[str, Any]:
    """Train and test every fold of the study, with every seed, and return the record that the report writes.

    `config` is resolved, on a pool; its folder holds the study. Finished folds are kept. Without `others`, nothing is
    trained on all corpora but one. Raises UserError for anything a user can repair.
    """
    check(config)
    begun, out = time.monotonic(), Path(config.out)
    source = open_source(replace(config, protocol=protocols.DEFAULT, fold="all"))
    parts, empty = parts_of(source)
    source = replace(source, folds=tuple(part.fold for part in parts))  # all, so that any call can go on
    parts = [part for part in parts if others or part.trained_on != OTHERS]
    linear = registry.get(config.model).fitted == "linear"
    rows: dict[bool, list[Rows]] = {}
    folds: list[dict[str, Any]] = []
    for normalize in normalizations:
        for seed in seeds:
            place = out / ("normalized" if normalize else "as-recorded") / f"seed-{seed}"
            one = replace(config, normalize_corpora=normalize, seed=seed, out=str(place))
            known = rows[False][len(rows.get(True, []))] if normalize and linear and False in rows else {}
            found, fitted, facts = _run(one, source, parts, known)
            rows.setdefault(normalize, []).append(found)
            folds += [{"normalized": normalize, "seed": seed, **row} for row in fitted]
    names = [member.name for member in members(config.corpus)]
    return {
        "model": config.model,
        "recipe": config.recipe,
        "classes": list(config.classes),
        "seeds": list(seeds),
        "synthetic": source.synthetic,
        **{name: facts[name] for name in ("corpora", "notes", "warnings", "leakage", "bad_clips", "versions")},
        "cells": cross_corpus_cells.cells(rows, names, config.classes, empty),
        **cross_corpus_cells.comparisons(rows, names, config.classes, families),
        "folds": folds,
        "fitting_seconds": sum(row["seconds"] for row in folds),
        "seconds_of_this_call": time.monotonic() - begun,
    }


def parts_of(source: Source) -> tuple[list[Part], dict[tuple[str, str], str]]:
    """Return the folds of the study, and by (trained on, tested on) why others cannot be made."""
    clips = list({clip.name: clip for fold in source.folds for side in fold.sides for clip in side}.values())
    by_name = of_corpora(sorted(clips, key=lambda clip: clip.name))
    corpora = {member.name: by_name[member.name] for member in members(source.protocol.corpus)}
    parts: list[Part] = []
    empty: dict[tuple[str, str], str] = {}
    for part in _every(corpora):
        reason = _lacks(part.fold, source.protocol.classes)
        if reason:
            empty.update({(part.trained_on, tested): reason for tested in part.tested_on})
        else:
            parts.append(part)
    if not parts:
        raise UserError(f"no corpus can be trained on: {'; '.join(dict.fromkeys(empty.values()))}. Add speakers")
    # A diagonal of some of its folds would be of some of its speakers.
    return [part for part in parts if (part.trained_on, part.tested_on[0]) not in empty], empty


def _every(corpora: Mapping[str, Sequence[Clip]]) -> Iterator[Part]:
    for number, (name, own) in enumerate(corpora.items()):
        others = [clip for other, some in corpora.items() if other != name for clip in some]
        for fold in protocols.by_speakers(own):
            within = f"{number}.{fold.name.split('-')[0]}-within-{file_name(name)}"
            yield Part(replace(fold, name=within), name, (name,))
        rest = tuple(other for other in corpora if other != name)
        yield Part(protocols.across(f"{number}-from-{file_name(name)}", own, others), name, rest)
        if len(corpora) > 2:  # of two, the others are the other one
            yield Part(protocols.across(f"{number}-others-to-{file_name(name)}", others, own), OTHERS, (name,))


def _lacks(fold: Fold, classes: Sequence[str]) -> str:
    """Say what a fold lacks to be trained and tested; "" for nothing."""
    absent = sorted(set(classes) - {clip.label for clip in fold.train})
    if absent:
        return f"{fold.name}: no training clip of {', '.join(absent)}"
    sides = [side for side in ("validation", "test") if not getattr(fold, side)]
    return f"{fold.name}: too few speakers for {' and '.join(sides)}" if sides else ""


def _run(
    config: RunConfig, source: Source, parts: Sequence[Part], known: Rows
) -> tuple[Rows, list[dict[str, Any]], Mapping[str, Any]]:
    """Return the rows of every (trained on, tested on), what was fitted, and the facts of the run.

    The diagonal is taken from `known` rows, if any: standardised by the training clips of its one corpus, as linear
    models do anyway, nothing changes.
    """
    rows: Rows = {pair: some for pair, some in known.items() if pair[0] == pair[1]}
    parts = [part for part in parts if (part.trained_on, part.tested_on[0]) not in rows]
    fitted = []
    with begin.opened(config, resume=True) as folder, Progress() as progress:
        run = prepare(folder, config, source, progress)
        by_name = {fold.name: fold for fold in run.source.folds}  # without bad clips
        with progress.task("folds", len(parts)) as advance:
            for done, part in enumerate(parts, start=1):
                fold = by_name[part.fold.name]
                fitted.append(_finish(run, fold, progress))
                corpora = {clip.name: clip.tags[CORPUS] for clip in fold.test}
                for row in read_rows(fold_folder(folder, fold), ("clip", "speaker", "truth", "prediction")):
                    rows.setdefault((part.trained_on, corpora[row["clip"]]), []).append(row)
                advance(done)
    return rows, fitted, run.facts


def _finish(run: Run, fold: Fold, progress: Progress) -> dict[str, Any]:
    """Train and test a fold unless that is done; return what was fitted."""
    folder, config = fold_folder(run.folder, fold), run.config
    record = folder / "fold.json"
    if not record.is_file():
        begun, seen = time.monotonic(), of_fold(run, fold)
        linear = registry.get(config.model).fitted == "linear"
        history = (fit_linear.fit if linear else fit)(fold_data(seen, fold), config, progress)
        write_csv(folder / "predictions.csv", _rows(seen, fold))
        best = history[kept_epoch(history, classification.FIGURES.score, config) - 1]
        write_json(
            record,
            {
                "fold": fold.name,
                "train_clips": len(fold.train),
                "validation_clips": len(fold.validation),
                "test_clips": len(fold.test),
                "validation_ua": best["validation_ua"],
                "c": str(best.get("c", "")),
                "seconds": round(time.monotonic() - begun, 2),
            },
        )
    checkpoint.remove(folder)
    return read_json(record, "an earlier call's file", _FITTED, "Remove it, or give another --out")


def _rows(run: Run, fold: Fold) -> list[dict[str, Any]]:
    """Return a row per test clip, by the saved model of a fold and the features the run has."""
    protocol = run.source.protocol
    takes_waveforms = registry.get(run.config.model).takes_waveforms
    model = load_model(fold_folder(run.folder, fold) / "model.keras", takes_waveforms, protocol.classes)
    rows = []
    for some in in_turn(fold.test, 512):
        outputs = of_features(model)([run.features[clip.name].read() for clip in some])
        for clip, output in zip(some, outputs, strict=True):
            probabilities = checked(output, (len(protocol.classes),), clip.path)
            rows.append(classification.row_of(clip, probabilities, protocol, clip.tags[CORPUS]))
    return rows
