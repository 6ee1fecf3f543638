"""Choose each objective's learning rate for each dimension on validation recordings: MixedEmotions D4.2, section 4.5.

A run is trained for every objective and rate. For each fold and dimension the run with the best validation CCC of that
dimension, at the epoch it kept, is taken; test figures are read of that one alone. The choice is kept in rates.json.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby, product
from pathlib import Path
from typing import Any

import numpy as np

from zoo.metrics import regression, significance
from zoo.metrics.regression import Moments
from zoo.reproduction.job import Asked, Training, has_diverged
from zoo.runs.folder import corpus_name, fold_folders, read_record, read_rows
from zoo.utils.atomic_files import read_csv, write_json

RATES = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7)  # of section 4.5.2, for losses that are sums
OBJECTIVES = {"sse": "sse", "ccc_sum": "ccc_sum", "total ccc": "ccc"}  # what tables call them, and --loss
DIMENSIONS = ("arousal", "valence")
_BEFORE, _AFTER = "", "postprocessed_"  # columns of predictions


@dataclass(frozen=True)
class Choice:
    """The run that validation chose for a fold and dimension. `rate` is None for a run without a search.

    `tried` has the validation CCC of each rate, None where training diverged.
    """

    system: str
    objective: str
    seed: int
    dimension: str
    fold: str
    rate: float | None
    validation_ccc: float
    epoch: int
    run: str
    tried: Mapping[str, float | None]


@dataclass(frozen=True)
class Measured:
    """Test figures of one dimension by the chosen runs: as `regression.evaluate` has them, and moments by speaker."""

    choices: Sequence[Choice]
    before: Mapping[str, Any]  # post-processing
    after: Mapping[str, Any]
    parts: Sequence[Moments]  # of the ratings after it
    traces: np.ndarray  # all rated frames, after it


def trainings(
    asked: Asked,
    fixed: Mapping[str, Any],
    usual: Mapping[str, Any],
    losses: Sequence[str],
    system: str = "",
    **more: Any,
) -> Iterator[Training]:
    """Yield a run for each seed, loss and rate; with --learning-rate given, one of that rate."""
    rates = (None,) if "learning_rate" in asked.given else RATES
    for seed, loss, rate in product(asked.seeds, losses, rates):
        own = {} if rate is None else {"learning_rate": rate}
        name = _place(system, loss, rate, seed)
        yield Training(name, {**fixed, **own, "loss": loss, "seed": seed}, usual, may_diverge=True, **more)


def measure(
    folders: Mapping[str, Path], objective: str, seed: int, dimension: str, system: str = ""
) -> Measured | None:
    """Choose the runs of an objective (a value of --loss, or "") and read their test figures, from all runs' folders.

    None where training diverged at every rate.
    """
    by_rate = {
        rate: folders[name] for rate in (*RATES, None) if (name := _place(system, objective, rate, seed)) in folders
    }
    found = {rate: _validation(folder, dimension) for rate, folder in by_rate.items() if not has_diverged(folder)}
    if not found:
        return None
    choices = []
    for fold in next(iter(found.values())):
        best = max(found, key=lambda rate: found[rate][fold][0])
        tried = {_words(rate): found[rate][fold][0] if rate in found else None for rate in by_rate}
        place = fold_folders(by_rate[best])[fold]
        choices.append(Choice(system, objective, seed, dimension, fold, best, *found[best][fold], str(place), tried))
    rows = [row for choice in choices for row in read_rows(Path(choice.run), ("clip", f"truth_{dimension}", dimension))]
    clips = [list(group) for _, group in groupby(rows, key=lambda row: (row["fold"], row["clip"]))]
    speakers = [clip[0]["speaker"] for clip in clips]
    truth = [_column(clip, f"truth_{dimension}", dimension) for clip in clips]
    before, after = ([_column(clip, kind + dimension, dimension) for clip in clips] for kind in (_BEFORE, _AFTER))
    raw, processed = (
        regression.evaluate(truth, one, [dimension], speakers)["dimensions"][dimension] for one in (before, after)
    )
    moments = [regression.moments(*pair) for pair in zip(truth, after, strict=True)]
    parts = regression.merged_by_speaker(moments, speakers)
    return Measured(choices, raw, processed, parts, np.concatenate(after).ravel())


def keep(out: Path, every: Sequence[Measured]) -> list[str]:
    """Write rates.json, and return what to say of the choice."""
    choices = [choice for one in every for choice in one.choices if choice.rate is not None]
    if not choices:
        return []
    write_json(out / "rates.json", {"rates": RATES, "choices": [asdict(choice) for choice in choices]})
    lines = [
        "learning rates, each chosen on validation recordings for its objective and dimension: " + _spoken(choices)
    ]
    if edge := {choice.objective for choice in choices if choice.rate in (RATES[0], RATES[-1])}:
        lines.append(f"at the edge of the grid, so that a wider one might give another: {', '.join(sorted(edge))}")
    return lines


def comparison(reference: Measured, other: Measured, names: tuple[str, str]) -> str:
    """Say how the CCC and CC of two objectives differ, after post-processing: by resampled speakers, and by z-test."""
    low, high, p = significance.paired_bootstrap([reference.parts], [other.parts], regression.concordances)
    difference = other.after["ccc"]["value"] - reference.after["ccc"]["value"]
    interval = "no interval of one speaker" if np.isnan(low[0]) else f"[{low[0]:+.3f}, {high[0]:+.3f}], p = {p[0]:.3f}"
    dimension = reference.choices[0].dimension
    return f"{dimension}, {names[1]} less {names[0]}: CCC {difference:+.3f} {interval}{_z_test(reference, other)}"


def stated(folders: Mapping[str, Path]) -> list[str]:
    """Say what ours is measured on."""
    records = [read_record(folder) for folder in folders.values() if not has_diverged(folder)]
    names = dict.fromkeys(f"{corpus_name(record)}, {record['protocol']}" for record in records)
    return [f"ours on {name}" for name in names]


def _z_test(reference: Measured, other: Measured) -> str:
    """The z-test of the correlations, as of two samples, and as of one, which they are."""
    r, other_r = (one.after["pearson"] for one in (reference, other))
    if r is None or other_r is None:
        return ""
    n, between = len(reference.traces), float(np.corrcoef(reference.traces, other.traces)[0, 1])
    _, p = significance.correlation_z(r, other_r, n)
    _, paired = significance.correlation_z(r, other_r, n, between)
    return f"; CC {other_r - r:+.3f}, one-tailed z-test over {n:,} frames p = {p:.3f}, paired {paired:.3f}"


def _validation(folder: Path, dimension: str) -> dict[str, tuple[float, int]]:
    """Return the validation CCC of a dimension at the epoch that was kept, and that epoch, fold by fold."""
    found = {}
    for fold, place in fold_folders(folder).items():
        epoch = read_record(place, ("best_epoch",))["best_epoch"]
        row = read_csv(place / "history.csv")[epoch - 1]
        value = float(row[f"validation_ccc_{dimension}"] or "nan")
        found[fold] = (-1.0 if np.isnan(value) else value, epoch)
    return found


def _column(clip: Sequence[Mapping[str, str]], name: str, dimension: str) -> np.ndarray:
    return np.array([[float(row[name])] for row in clip if row[f"truth_{dimension}"] != ""])


def _place(system: str, loss: str, rate: float | None, seed: int) -> str:
    return "-".join(filter(None, (system, loss, f"rate-{rate:g}" if rate else "", f"seed-{seed}")))


def _words(rate: float | None) -> str:
    return "given" if rate is None else f"{rate:g}"


def _spoken(choices: Sequence[Choice]) -> str:
    words: dict[str, list[str]] = {}
    for choice in choices:
        name = " ".join(filter(None, (choice.system, choice.objective, choice.dimension)))
        words.setdefault(name, []).append(_words(choice.rate))
    return "; ".join(f"{name} {' '.join(dict.fromkeys(rates))}" for name, rates in words.items())
