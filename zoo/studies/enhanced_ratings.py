"""Rate noisy recordings as they are and enhanced: MixedEmotions D4.2, section 3, Table 4.1.

The study's folder is a run of ratings on MFCCs, fitted on clean recordings. More runs are in it, for every ratio
("3dB" ..., matched) or for all of them (mixed):

    enhancer-NAME/         the denoising autoencoder
    test-enhanced-NAME/    the same ratings, fitted on clean recordings; those of the test go through it (published)
    enhanced-NAME/         ratings fitted on clean recordings that went through it (this and the following are ours)
    noisy-NAME/            ratings fitted on recordings in noise
    noisy-enhanced-NAME/   ratings fitted on recordings in noise, behind it
    conditions/            the figures of the test recordings in noise, each by one of these
    conditions.csv         all of them

The deliverable's regression is fitted once, on clean recordings that are not enhanced; fits behind an enhancer or in
noise are ours.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from zoo.config import flags
from zoo.config.frame_timing import RATE_HZ
from zoo.config.run_config import RunConfig
from zoo.features import noisy_copies
from zoo.runs.dataset import Source
from zoo.runs.folder import corpus_name, fold_folder
from zoo.training.run import Run
from zoo.training.tasks import continuous
from zoo.training.train import train
from zoo.utils.atomic_files import write_csv, write_json
from zoo.utils.json_files import read_json
from zoo.utils.progress import Progress
from zoo.utils.text import printable

Ratios = tuple[float, ...]


def measure(settings: RunConfig, enhance: str, noise: str, ratios: Ratios, resume: bool = False) -> Run:
    """Train a run of mfcc_svr and the runs beside it, write the figures of all of them in noise, and print the table.

    `enhance` is "matched" (a model for each of `ratios`, in dB) or "mixed" (one for all), `noise` a value of --noise.
    What is done is kept, if `resume`. Raises UserError for anything a user can repair.
    """
    noisy = replace(flags.from_flags({**settings.saved(), "noise": noise, "snr": ratios}), out="")
    noises = noisy_copies.open_for(noisy, RATE_HZ)
    if resume:
        _forget_noise(Path(settings.out))
    run = train(settings, resume)
    folder, title = run.folder, run.title()
    names = {f"{snr:g}dB": (snr,) for snr in ratios} if enhance == "matched" else {"mixed": ratios}
    places = {
        name: _train_beside(folder, name, enhance, run.config, replace(noisy, snr=own)) for name, own in names.items()
    }
    todo = [
        (snr, name, fitted_on, enhancement)
        for snr in (None, *ratios)
        for name, own in names.items()
        if snr is None or snr in own
        for fitted_on, enhancement in places[name]
    ]
    rows = []
    with Progress() as progress, progress.task("test recordings in noise", len(todo)) as advance:
        for done, (snr, name, fitted_on, enhancement) in enumerate(todo, start=1):
            alter = None if snr is None else noisy_copies.mixer(noises, snr, "test")[0]
            ratio = "clean" if snr is None else f"{snr:g}dB"
            # Folders of earlier versions hold figures fitted behind the enhancer under "clean".
            way = "test" if (fitted_on, enhancement) == ("clean", enhance) else fitted_on
            path = folder / "conditions" / f"{ratio}-{name}-{way}-{enhancement}.json"
            if not path.is_file():
                write_json(path, _figures(places[name][fitted_on, enhancement], run.config, run.source, alter))
            about = {"snr_db": "" if snr is None else snr, "models": name, "fitted_on": fitted_on}
            rows.append(
                {
                    **about,
                    "enhancement": enhancement,
                    **read_json(path, "figures of this study", {str: (float, type(None))}),
                    "run": title,
                }
            )
            advance(done)
    write_csv(folder / "conditions.csv", rows)
    versions = {name: run.facts[name] for name in ("versions", "other_versions") if name in run.facts}
    write_json(folder / "conditions.json", {"noise": noises.settings, **versions, "rows": rows})
    _print(rows, folder)
    return run


def _forget_noise(folder: Path) -> None:
    """Take the noise out of the data of a run made when the study's noise was one of its settings."""
    path = folder / "data.json"
    if path.is_file() and "enhance" in read_json(folder / "config.json", "a run's configuration", {str: object}):
        data = read_json(path, "hashes of a run's data", {str: str})
        write_json(path, {name: value for name, value in data.items() if name != "noise_sha256"})


def _train_beside(
    folder: Path, name: str, enhance: str, clean: RunConfig, noisy: RunConfig
) -> dict[tuple[str, str], Path]:
    """Return the folders of the runs of one enhancer, by what they were fitted on and what is in front of them."""
    enhancer = folder / f"enhancer-{name}"
    shared = {
        item.name: getattr(noisy, item.name)
        for item in dataclasses.fields(RunConfig)
        if item.metadata["group"] in ("run", "data", "spectrum", "noise", "ratios", "running")
    }
    # The paper's recipe takes hours for about the same.
    own = {"model": "denoising_autoencoder", "recipe": "quick" if clean.recipe == "quick" else "tuned"}
    train(flags.from_flags({**shared, **own, "out": str(enhancer)}), True)

    beside = {
        ("clean", enhance): (f"test-enhanced-{name}", replace(clean, enhancer=str(enhancer), enhanced="test")),
        ("enhanced", enhance): (f"enhanced-{name}", replace(clean, enhancer=str(enhancer))),
        ("noisy", "none"): (f"noisy-{name}", noisy),
        ("noisy", enhance): (f"noisy-enhanced-{name}", replace(noisy, enhancer=str(enhancer))),
    }
    for place, one in beside.values():
        train(replace(one, out=str(folder / place)), True)
    return {("clean", "none"): folder, **{way: folder / place for way, (place, _) in beside.items()}}


def _figures(run: Path, settings: RunConfig, source: Source, alter) -> dict[str, Any]:
    """Return the CCC with its interval, before and after post-processing, by dimension."""
    corpus = corpus_name({**source.about, "corpus": settings.corpus, "synthetic": source.synthetic})
    rows = [
        row
        for fold in source.folds
        for row in continuous.test_rows(fold_folder(run, fold), fold.test, source.protocol, corpus, settings, alter)
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
    table = Table(*columns, title=Text(f"in noise: {printable(rows[0]['run'])}"))
    for row in rows:
        cells = [f"{row['snr_db']:g} dB" if row["snr_db"] != "" else "clean", row["fitted_on"], row["enhancement"]]
        for value, low, high in ((row[f"{name}_{key}"] for key in ("value", "low", "high")) for name in dimensions):
            cells.append(f"{value:.3f}" + ("" if low is None else f" [{low:.3f}, {high:.3f}]"))
        table.add_row(*cells)
    Console().print(table)
    print(f"in noise: {printable(str(folder / 'conditions.csv'))}")
