"""Ratings of noisy recordings, as they are and enhanced: MixedEmotions D4.2, section 3, Table 4.1.

A run of ratings on MFCCs is fitted on clean recordings. Beside it stand, in its folder, for every ratio ("3dB" ...,
matched) or for all of them (mixed):

    enhancer-NAME/         a run of denoising_autoencoder
    enhanced-NAME/         the models fitted on clean recordings, behind that enhancer
    noisy-NAME/            models fitted on the training recordings in noise
    noisy-enhanced-NAME/   models fitted on them enhanced, behind the enhancer
    conditions.csv         the figures of the test recordings in noise, by each of these

All are runs like any other: predict.py, robustness.py and export.py take them. The deliverable does not say what its
regression was fitted on, so both readings are measured.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
from rich.console import Console
from rich.table import Table

from zoo import config, continuous, enhancer, linear_fit, noisy_speech
from zoo.config import RunConfig
from zoo.data.features import extract
from zoo.data.schema import Clip, Fold
from zoo.data.source import Source
from zoo.evaluate import write_results
from zoo.fit import Task
from zoo.folder import corpus_name, fold_folder, read_record
from zoo.frontends import with_frontend
from zoo.predict import frontend as frontend_of
from zoo.predict import load_model
from zoo.progress import Progress
from zoo.storage import write_csv, write_json, written_aside
from zoo.trace_prediction import network_of

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
    "seed",
    "backend",
    "noise",
    "noise_split",
    "snr_level",
)


def measure(folder: Path, settings: RunConfig, source: Source, train: Callable[[RunConfig, bool], Any]) -> None:
    """Trains the enhancers of a finished run, and writes what they do to its figures. What is done is kept.

    `train` is zoo.train.train. Prints the table.
    """
    names = {f"{snr:g}dB": (snr,) for snr in settings.snr} if settings.enhance == "matched" else {"mixed": settings.snr}
    noises = noisy_speech.open_for(settings, continuous.RATE_HZ)
    for name, ratios in names.items():
        train(_enhancer_settings(settings, ratios, folder / f"enhancer-{name}"), True)
        if not (folder / f"enhanced-{name}" / "metrics.json").is_file():
            _put_in_front(folder, name, settings, source)
        for enhanced in (False, True):
            place = folder / (f"noisy-enhanced-{name}" if enhanced else f"noisy-{name}")
            if not (place / "metrics.json").is_file():
                _fit_on_noisy(folder, place, name, ratios, settings, source, enhanced, noises)
    rows = []
    for snr in (None, *settings.snr):
        hear = None if snr is None else noisy_speech.hearing(settings, noises, snr, "test").hear
        for name in (name for name, ratios in names.items() if snr is None or snr in ratios):
            for fitted_on, what, place in _places(folder, name, settings):
                about = {"snr_db": "" if snr is None else snr, "models": name, "fitted_on": fitted_on}
                rows.append({**about, "enhancement": what, **_figures(place, settings, source, hear)})
    write_csv(folder / "conditions.csv", rows)
    write_json(folder / "conditions.json", {"noise": noises.settings, "rows": rows})
    _print(rows, folder)


def _places(folder: Path, name: str, settings: RunConfig) -> list[tuple[str, str, Path]]:
    """What the regression was fitted on, what stands before it, and where its models are."""
    return [
        ("clean", "none", folder),
        ("clean", settings.enhance, folder / f"enhanced-{name}"),
        ("noisy", "none", folder / f"noisy-{name}"),
        ("noisy", settings.enhance, folder / f"noisy-enhanced-{name}"),
    ]


def _enhancer_settings(settings: RunConfig, ratios: tuple[float, ...], out: Path) -> RunConfig:
    given = {name: getattr(settings, name) for name in _SHARED}
    recipe = "quick" if settings.recipe == "quick" else "tuned"  # the paper's rate moves nothing on small data
    own = {"model": "denoising_autoencoder", "recipe": recipe, "snr": ratios, "out": str(out)}
    return config.from_flags({**given, **own, "condition": "matched" if len(ratios) == 1 else "mixed"})


def _put_in_front(folder: Path, name: str, settings: RunConfig, source: Source) -> None:
    """Writes the run whose models stand behind the enhancer."""
    place = folder / f"enhanced-{name}"
    for fold in source.folds:
        plain, target = fold_folder(folder, fold), fold_folder(place, fold)
        model = load_model(plain / "model.keras")
        inputs = {
            "features": keras.Input((None, frontend_of(model).coefficients), name="features"),
            "n_frames": keras.Input((), dtype="int32", name="n_frames"),
        }
        enhanced = enhancer.load(fold_folder(folder / f"enhancer-{name}", fold))(inputs)
        ratings = network_of(model)({"features": enhanced, "n_frames": inputs["n_frames"]})
        network = keras.Model(inputs, ratings, name="enhanced_ratings")
        with written_aside(target / "model.keras") as aside:
            with_frontend(frontend_of(model), network).save(aside)
        shutil.copyfile(plain / "postprocess.json", target / "postprocess.json")
    _finish(folder, place, settings, source)


def _fit_on_noisy(folder, place, name, ratios, settings: RunConfig, source: Source, enhanced: bool, noises) -> None:
    """Fits a regression to the training recordings at all of the ratios; C is chosen on validation ones in theirs."""
    own, protocol = continuous.extractor(settings), source.protocol

    def heard(clips: Sequence[Clip], side: str) -> list[Any]:
        found = []
        for snr in ratios:
            noisy = noisy_speech.hearing(settings, noises, snr, side)
            features, _ = extract(
                clips,
                own.features,
                {**own.settings, **noisy.settings},
                config.cache_folder(settings),
                rate_hz=own.rate_hz,
                max_seconds=settings.max_clip_seconds,
                hear=noisy.hear,
            )
            found += continuous.examples(settings, protocol, features, clips, training=side == "train")
        return found

    for fold in source.folds:
        target = fold_folder(place, fold)
        examples = heard(fold.train, "train"), heard(fold.validation, "validation")
        task = Task(fold.name, target, protocol.targets, *examples, continuous.frontend(settings))
        before = enhancer.load(fold_folder(folder / f"enhancer-{name}", fold)) if enhanced else None
        with Progress() as progress:
            linear_fit.fit(task, settings, progress, before)
        continuous.after_training(target / "model.keras", task, settings)
    _finish(folder, place, settings, source)


def _finish(folder: Path, place: Path, settings: RunConfig, source: Source) -> None:
    """Writes the figures on clean recordings of a run whose models are there. metrics.json comes last."""
    rows: list[dict[str, Any]] = []
    for fold in source.folds:
        target = fold_folder(place, fold)
        found = _rows(target, fold, settings, source, None)
        own = {**read_record(fold_folder(folder, fold)), **continuous.scores(found, source.protocol)}
        write_results(target, found, own, f"{settings.model}, {place.name}, fold {fold.name}")
        rows += found
    write_json(place / "config.json", {**settings.saved(), "enhance": "none", "noise": "", "out": str(place)})
    summary = {**read_record(folder), **continuous.scores(rows, source.protocol)}
    write_results(place, rows, summary, f"{settings.model}, {place.name}")


def _figures(run: Path, settings: RunConfig, source: Source, hear) -> dict[str, Any]:
    rows = [row for fold in source.folds for row in _rows(fold_folder(run, fold), fold, settings, source, hear)]
    return _flat(continuous.scores(rows, source.protocol))


def _rows(folder: Path, fold: Fold, settings: RunConfig, source: Source, hear) -> list[dict[str, Any]]:
    corpus = corpus_name({"corpus": settings.corpus, "synthetic": source.synthetic})
    return continuous.test_rows(folder, fold.test, source.protocol, corpus, settings, hear)


def _flat(scores: Mapping[str, Any]) -> dict[str, Any]:
    """CCC with its interval, before and after post-processing, by dimension."""
    found: dict[str, Any] = {}
    for name, figures in scores["dimensions"].items():
        found |= {f"{name}_ccc": figures["ccc"]["value"], f"{name}_low": figures["ccc"]["low"]}
        found |= {f"{name}_high": figures["ccc"]["high"]}
        found[f"{name}_ccc_postprocessed"] = scores["postprocessed"]["dimensions"][name]["ccc"]["value"]
    return found


def _print(rows, folder: Path) -> None:
    dimensions = [key.removesuffix("_ccc") for key in rows[0] if key.endswith("_ccc")]
    columns = ("SNR", "fitted on", "enhancement", *(f"{name} CCC [95 %]" for name in dimensions))
    table = Table(*columns, title="ratings in noise")
    for row in rows:
        cells = [f"{row[f'{n}_ccc']:.3f} [{row[f'{n}_low']:.3f}, {row[f'{n}_high']:.3f}]" for n in dimensions]
        ratio = f"{row['snr_db']:g} dB" if row["snr_db"] != "" else "clean"
        table.add_row(ratio, row["fitted_on"], row["enhancement"], *cells)
    Console().print(table)
    print(f"in noise: {folder / 'conditions.csv'}")
