"""Make Table 4.1 and Figure 4.2 of MixedEmotions D4.2: ratings in noise with a denoising autoencoder in front.

The regression is fitted once, on clean speech that is not enhanced (3.4.3); test recordings alone are enhanced, by an
autoencoder of the same condition (matched; of clean speech for clean speech) or by one of all conditions of its kind
and clean speech (mixed). None has a detector of clean speech.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data.augmentation import named_conditions
from zoo.metrics import regression, significance
from zoo.metrics.bootstrap import bootstrap_interval, figures
from zoo.metrics.regression import Moments
from zoo.metrics.undefined import with_interval
from zoo.reproduction import d42_plots, d42_rates
from zoo.reproduction.d42_curves import coefficients_figure
from zoo.reproduction.d42_rates import DIMENSIONS
from zoo.reproduction.d42_ratings import RECOLA, in_order, on
from zoo.reproduction.job import Asked, Job, Result, Row, Training
from zoo.utils.atomic_files import write_json
from zoo.utils.json_files import read_json
from zoo.utils.progress import Progress

RATIOS = tuple(f"{snr}dB" for snr in (0, 3, 6, 9, 12))
SMARTPHONE = ("telephone", "telephone+classroom", "telephone+hall", *(f"telephone+{snr}" for snr in RATIOS))
_KINDS = {"noise": RATIOS, "smartphone": SMARTPHONE}  # of mixed enhancement
_NEEDS = f"{RECOLA}; --noise joined:DIR, a folder for each kind of noise; --responses DIR, measured telephone and rooms"
_ENHANCEMENTS = ("not enhanced", "matched", "mixed")
_AUTOENCODER, _REGRESSION = "denoising_autoencoder", "mfcc_svr"
_OWN = frozenset({"noise", "responses", "conditions", "option"})  # flags of the autoencoder alone


def _conditions(asked: Asked) -> tuple[str, ...]:
    """Return the table's conditions, or those of --conditions."""
    return tuple(asked.given.get("conditions", (named_conditions.CLEAN, *RATIOS, *SMARTPHONE)))


def _kinds(asked: Asked) -> dict[str, tuple[str, ...]]:
    """Return the conditions that each mixed autoencoder is trained on."""
    asked_for = _conditions(asked)
    of = {kind: tuple(one for one in every if one in asked_for) for kind, every in _KINDS.items()}
    return {kind: every for kind, every in of.items() if every}


def _autoencoder(asked: Asked, name: str, seed: int, **fixed: Any) -> Training:
    own = {"model": _AUTOENCODER, "detector": "none", "seed": seed, **fixed}
    return Training(f"{name}-seed-{seed}", own, on(asked), (_REGRESSION,), frozenset({"conditions"}))


def _regression(asked: Asked, name: str, seed: int, enhancer: str = "") -> Training:
    fixed: dict[str, Any] = {"model": _REGRESSION, "seed": seed}
    if enhancer:
        fixed |= {"enhancer": str(asked.out / f"{enhancer}-seed-{seed}"), "enhanced": "test"}
    return Training(f"{name}-seed-{seed}", fixed, on(asked), (_AUTOENCODER,), _OWN)


def _models(asked: Asked) -> Iterable[Training]:
    for seed in asked.seeds:
        yield _regression(asked, "regression", seed)
        for condition in _conditions(asked):
            yield _autoencoder(asked, f"matched-{condition}", seed, conditions=(condition,), speech="noisy")
            yield _regression(asked, f"regression-matched-{condition}", seed, f"matched-{condition}")
        for kind, conditions in _kinds(asked).items():
            yield _autoencoder(asked, f"mixed-{kind}", seed, conditions=conditions, speech="both")
            yield _regression(asked, f"regression-mixed-{kind}", seed, f"mixed-{kind}")


def _table_4_1(asked: Asked, folders: Mapping[str, Path]) -> Result:
    rows: list[Row] = []
    lines = d42_rates.stated(folders)
    for seed in asked.seeds:
        variant = f"seed {seed}" if len(asked.seeds) > 1 else ""
        parts = _scored(asked, folders, seed)
        for condition in _conditions(asked):
            for name in (key[1] for key in parts if key[0] == condition):
                rows += _rows(f"{condition}, {name}", [parts[condition, name]], variant)
        for title, members in (("", RATIOS), ("telephone and noise, mean, ", SMARTPHONE[3:])):
            present = [one for one in members if (one, "matched") in parts]
            groups = {name: [parts[one, name] for one in present] for name in _ENHANCEMENTS} if present else {}
            for name, group in groups.items():
                rows += _rows(f"{title}{name}", group, variant)
            lines += [_comparison(title, groups, name) for name in _ENHANCEMENTS[1:] if groups]
    lines += _stand_ins(asked)
    mean = [row for row in rows if ", mean, " in row.row or row.row in _ENHANCEMENTS]
    return Result(in_order(mean + rows), lines, d42_plots.scores(asked.job.name, in_order(mean + rows), "CCC"))


def _scored(asked: Asked, folders: Mapping[str, Path], seed: int) -> dict[tuple[str, str], list[Moments]]:
    """Return the moments of each test speaker's ratings, by condition and enhancement; kept in conditions/."""
    todo = []
    for condition in _conditions(asked):
        kinds = [kind for kind, members in _kinds(asked).items() if condition in (*members, named_conditions.CLEAN)]
        todo.append((condition, "not enhanced", "regression"))
        todo.append((condition, "matched", f"regression-matched-{condition}"))
        one = len(kinds) == 1
        todo += [(condition, "mixed" if one else f"mixed ({kind})", f"regression-mixed-{kind}") for kind in kinds]
    found = {}
    with Progress() as progress, progress.task("test recordings in their conditions", len(todo)) as advance:
        for done, (condition, name, run) in enumerate(todo, start=1):
            path = asked.out / "conditions" / f"{condition}, {name}, seed {seed}.json"
            if not path.is_file():
                matched = folders[f"matched-{condition}-seed-{seed}"]
                write_json(path, _moments(folders[f"{run}-seed-{seed}"], matched))
            kept = read_json(path, "moments of a condition", {str: {str: [float]}})
            found[condition, name] = [
                Moments(**{key: np.array(value) for key, value in one.items()}) for one in kept.values()
            ]
            advance(done)
    return found


def _moments(run: Path, matched: Path) -> dict[str, dict[str, list[float]]]:
    """Rate the test recordings in the condition that an autoencoder was `matched` to: moments by speaker."""
    from zoo.config import saved
    from zoo.features import noisy_copies
    from zoo.runs.dataset import open_source
    from zoo.runs.folder import fold_folder
    from zoo.training.tasks import continuous

    settings, own = saved.load(run / "config.json"), saved.load(matched / "config.json")
    (altered,) = noisy_copies.altered(own, own.rate_hz, "test").values()
    source, truth, prediction, speakers = open_source(settings), [], [], []
    for fold in source.folds:
        for clip in fold.test:
            rows = continuous.test_rows(fold_folder(run, fold), [clip], source.protocol, "", settings, altered.alter)
            rated = [row for row in rows if row[f"truth_{DIMENSIONS[0]}"]]
            truth.append([[float(row[f"truth_{name}"]) for name in DIMENSIONS] for row in rated])
            prediction.append([[float(row[name]) for name in DIMENSIONS] for row in rated])
            speakers.append(clip.speaker)
    moments = [regression.moments(*pair) for pair in zip(truth, prediction, strict=True)]
    by_speaker = zip(sorted(set(speakers)), regression.merged_by_speaker(moments, speakers), strict=True)
    return {name: {item.name: getattr(part, item.name).tolist() for item in fields(part)} for name, part in by_speaker}


def _rows(name: str, group: Sequence[Sequence[Moments]], variant: str) -> list[Row]:
    """Return the mean CCC over conditions of each dimension, with its interval over speakers."""
    together, pool = _joined(group)
    values = figures([together], pool)[0]
    lows, highs = bootstrap_interval([together], pool)
    bounds = zip(DIMENSIONS, values, lows, highs, strict=True)
    return [Row(name, dimension, with_interval(*bound), variant=variant) for dimension, *bound in bounds]


def _joined(group: Sequence[Sequence[Moments]]) -> tuple[list[Any], Callable[[Any, np.ndarray], np.ndarray]]:
    """Return speakers, each with the moments in all conditions, and how they are pooled: to the mean CCC (n, dims)."""

    def pool(speakers: Any, counts: np.ndarray) -> np.ndarray:
        by_condition = zip(*speakers, strict=True)
        return np.mean([regression.concordances(list(parts), counts)[:, 1:] for parts in by_condition], axis=0)

    return list(zip(*group, strict=True)), pool


def _comparison(title: str, groups: Mapping[str, Sequence[Sequence[Moments]]], name: str) -> str:
    (reference, pool), (other, _) = _joined(groups[_ENHANCEMENTS[0]]), _joined(groups[name])
    difference = (figures([other], pool) - figures([reference], pool))[0]
    low, high, p = significance.paired_bootstrap([reference], [other], pool)
    words = [
        f"{dimension} {difference[k]:+.3f} [{low[k]:+.3f}, {high[k]:+.3f}], p = {p[k]:.3f}"
        for k, dimension in enumerate(DIMENSIONS)
    ]
    return f"{title}{name} less not enhanced: {'; '.join(words)}"


def _stand_ins(asked: Asked) -> list[str]:
    """Say which responses are computed, or the user's, in place of the deliverable's."""
    folder = asked.given.get("responses", "")
    there = {path.stem for path in Path(folder).expanduser().rglob("*")} if folder else set()
    used = [name for name in named_conditions.COMPUTED if any(name in one.split("+") for one in _conditions(asked))]
    lines = [f"{name}: computed, a stand-in for the deliverable's" for name in used if name not in there]
    lines += [f"{name}: measured, of --responses, in place of the deliverable's" for name in used if name in there]
    if any("dB" in one for one in _conditions(asked)):
        lines.append("noise: of --noise, in place of CHiME's")
    return lines


def _figure_models(asked: Asked) -> Iterable[Training]:
    for seed in asked.seeds:
        for condition in tuple(asked.given.get("conditions", (*RATIOS, "telephone+hall"))):
            yield _autoencoder(asked, f"matched-{condition}", seed, conditions=(condition,), speech="noisy")


def _figure_4_2(asked: Asked, folders: Mapping[str, Path]) -> Result:
    """CCC of every coefficient before and after matched enhancement: in noise, all ratios, and elsewhere."""
    from zoo.metrics import enhancement
    from zoo.runs.folder import read_rows

    noise: list[dict[str, str]] = []
    panels = {}
    for name, folder in folders.items():
        altered = [row for row in read_rows(folder, ("snr_db",)) if row["snr_db"]]
        condition = name.removeprefix("matched-").rpartition("-seed-")[0]
        if condition in RATIOS:
            noise += altered
        else:
            panels[condition] = enhancement.evaluate(altered)["pooled"]
    if noise:
        panels = {"noise": enhancement.evaluate(noise)["pooled"], **panels}
    rows = []
    for condition, pooled in panels.items():
        for system, words in (("noisy", "not enhanced"), ("enhanced", "enhanced")):
            rows.append(Row(f"{condition}, mean of all", words, pooled[system]["ccc"]))
            each = pooled[system]["coefficients"].items()
            rows += [Row(f"{condition}, MFCC {k}", words, one["ccc"]) for k, one in each]
    lines = [*d42_rates.stated(folders), *_stand_ins(asked), '"noise" is all ratios together']
    return Result(in_order(rows), lines, coefficients_figure(panels))


JOBS = [
    Job(
        "d42-table-4.1",
        "MixedEmotions D4.2, Table 4.1: ratings in noise, rooms and by telephone, with and without enhancement, CCC",
        _NEEDS,
        ("recola",),
        _table_4_1,
        _models,
    ),
    Job(
        "d42-figure-4.2",
        "MixedEmotions D4.2, Figure 4.2: CCC of each MFCC with its clean version, before and after enhancement",
        _NEEDS,
        ("recola",),
        _figure_4_2,
        _figure_models,
    ),
]
