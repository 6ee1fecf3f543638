"""Ratings of noisy recordings, as they are and enhanced: MixedEmotions D4.2, section 3, Table 4.1.

A run of ratings on MFCCs is fitted on clean recordings. In its folder stand more runs, for every ratio ("3dB" ...,
matched) or for all of them (mixed):

    enhancer-NAME/         the denoising autoencoder
    enhanced-NAME/         ratings fitted on clean recordings, behind it       (--enhancer)
    noisy-NAME/            ratings fitted on recordings in noise               (--heard noisy)
    noisy-enhanced-NAME/   ratings fitted on recordings in noise, behind it    (both)
    conditions/            the figures of the test recordings in noise, each by one of these
    conditions.csv         all of them

The deliverable does not say what its regression was fitted on, so both readings are measured.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from zoo.config import flags
from zoo.config.frame_timing import RATE_HZ
from zoo.config.run_config import RunConfig
from zoo.features import noisy_copies
from zoo.runs.dataset import Source
from zoo.runs.folder import corpus_name, fold_folder
from zoo.training.tasks import continuous
from zoo.training.train import Run, train
from zoo.utils.atomic_files import write_csv, write_json
from zoo.utils.progress import Progress

_SHARED = (
    "corpus",
    "protocol",
    "fold",
    "data_root",
    "synthetic",
    "clips",
    "allow_incomplete",
    "allow_leakage",
    "on_bad_clip",
    "max_clip_seconds",
    "cache_dir",
    "window_ms",
    "hop_ms",
    "noise",
    "noise_split",
    "snr_level",
    "seed",
    "backend",
)
_OF_NOISE = ("noise", "noise_split", "snr_level", "snr")

Ratios = tuple[float, ...]


def measure(run: Run) -> None:
    """Train the runs beside a finished one, and write the figures of all of them in noise. What is done is kept.

    Prints the table.
    """
    folder, settings, source, title = run.folder, run.config, run.source, run.title()
    names = {f"{snr:g}dB": (snr,) for snr in settings.snr} if settings.enhance == "matched" else {"mixed": settings.snr}
    noises = noisy_copies.open_for(settings, RATE_HZ)
    places = {name: _train_beside(folder, name, ratios, settings) for name, ratios in names.items()}
    todo = [
        (snr, name, heard, enhancement)
        for snr in (None, *settings.snr)
        for name, ratios in names.items()
        if snr is None or snr in ratios
        for heard, enhancement in places[name]
    ]
    rows = []
    with Progress() as progress, progress.task("test recordings in noise", len(todo)) as advance:
        for done, (snr, name, heard, enhancement) in enumerate(todo, start=1):
            hear = None if snr is None else noisy_copies.hearing(settings, noises, snr, "test").hear
            ratio = "clean" if snr is None else f"{snr:g}dB"
            path = folder / "conditions" / f"{ratio}-{name}-{heard}-{enhancement}.json"
            if not path.is_file():
                write_json(path, _figures(places[name][heard, enhancement], settings, source, hear))
            about = {"snr_db": "" if snr is None else snr, "models": name, "fitted_on": heard}
            rows.append({**about, "enhancement": enhancement, **json.loads(path.read_text()), "run": title})
            advance(done)
    write_csv(folder / "conditions.csv", rows)
    write_json(folder / "conditions.json", {"noise": noises.settings, "rows": rows})
    _print(rows, folder)


def _train_beside(folder: Path, name: str, ratios: Ratios, settings: RunConfig) -> dict[tuple[str, str], Path]:
    """Returns the folders of the runs of one enhancer, by what they were fitted on and what stands before them."""
    shared = {field: getattr(settings, field) for field in _SHARED}
    enhancer = folder / f"enhancer-{name}"
    own = {"model": "denoising_autoencoder", "condition": "matched" if len(ratios) == 1 else "mixed", "snr": ratios}
    # The paper's learning rate moves nothing on small data.
    recipe = "quick" if settings.recipe == "quick" else "tuned"
    train(flags.from_flags({**shared, **own, "recipe": recipe, "out": str(enhancer)}), True)

    plain = replace(settings, enhance="none")
    clean = replace(plain, **{field: getattr(RunConfig, field) for field in _OF_NOISE})
    noisy = replace(plain, heard="noisy", snr=ratios)
    beside = {
        ("clean", settings.enhance): (f"enhanced-{name}", replace(clean, enhancer=str(enhancer))),
        ("noisy", "none"): (f"noisy-{name}", noisy),
        ("noisy", settings.enhance): (f"noisy-enhanced-{name}", replace(noisy, enhancer=str(enhancer))),
    }
    for place, one in beside.values():
        train(replace(one, out=str(folder / place)), True)
    return {("clean", "none"): folder, **{way: folder / place for way, (place, _) in beside.items()}}


def _figures(run: Path, settings: RunConfig, source: Source, hear) -> dict[str, Any]:
    """CCC with its interval, before and after post-processing, by dimension."""
    corpus = corpus_name({"corpus": settings.corpus, "synthetic": source.synthetic})
    rows = [
        row
        for fold in source.folds
        for row in continuous.test_rows(fold_folder(run, fold), fold.test, source.protocol, corpus, settings, hear)
    ]
    scores = continuous.scores(rows, source.protocol)
    found: dict[str, Any] = {}
    for name, figures in scores["dimensions"].items():
        found |= {f"{name}_{key}": value for key, value in figures["ccc"].items()}
        found[f"{name}_postprocessed"] = scores["postprocessed"]["dimensions"][name]["ccc"]["value"]
    return found


def _print(rows: Sequence[Mapping[str, Any]], folder: Path) -> None:
    dimensions = [key.removesuffix("_value") for key in rows[0] if key.endswith("_value")]
    columns = ("SNR", "fitted on", "enhancement", *(f"{name} CCC [95 %]" for name in dimensions))
    table = Table(*columns, title=f"in noise: {rows[0]['run']}")
    for row in rows:
        ratio = f"{row['snr_db']:g} dB" if row["snr_db"] != "" else "clean"
        table.add_row(ratio, row["fitted_on"], row["enhancement"], *(_in_words(row, name) for name in dimensions))
    Console().print(table)
    print(f"in noise: {folder / 'conditions.csv'}")


def _in_words(row: Mapping[str, Any], name: str) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return f"{row[f'{name}_value']:.3f}" + ("" if low is None else f" [{low:.3f}, {high:.3f}]")
