"""A finished run scored again on its test clips, as other rooms, other microphones and noise would have recorded them.

Nothing is fitted or chosen here: the models are as the run left them, and each condition
(zoo.data.augmentation.conditions) is scored by itself. Noise is of the side that is kept for testing: no training on
the same recordings heard it. A run trained on other recordings, such as those of a folder that has grown since, may
have heard some of that side, and all that is written of it says so. What a condition makes of a clip hangs on the seed,
the clip and the condition, so that runs of one corpus hear the same and can be compared.
"""

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any

import keras
import numpy as np

from zoo.config.run_config import RunConfig
from zoo.data.audio.scan import arrays_sha256, file_sha256
from zoo.data.protocols.splits import Protocol
from zoo.data.schema import Fold
from zoo.errors import UserError
from zoo.features import from_config, speaker_normalization
from zoo.runs import dataset
from zoo.runs.folder import corpus_name, fold_folder, read_rows
from zoo.runs.lock import alone_in
from zoo.runs.open_run import open_run
from zoo.studies import robustness_conditions, robustness_report
from zoo.studies.robustness_conditions import DRAWN_ROOMS, REVERBERATION_SECONDS, SIDE, Asked, Case, Sounds
from zoo.training.evaluate import differences
from zoo.training.tasks import base as tasks
from zoo.utils.atomic_files import ASIDE, write_json
from zoo.utils.progress import Progress

_RECORD = "robustness.json"
_FACTS = (
    *("model", "recipe", "corpus", "protocol", "synthetic", "speaker_independent"),
    *("leakage", "notes", "bad_clips", "warnings"),
)

Scores = dict[str, Any]


@dataclass(frozen=True)
class Tested:
    """What of a run is scored: the test clips of `folds`, out of `n_test_clips`."""

    run: Path
    settings: RunConfig
    record: Mapping[str, Any]
    protocol: Protocol
    folds: tuple[Fold, ...]
    n_test_clips: int

    @property
    def n_clips(self) -> int:
        return sum(len(fold.test) for fold in self.folds)


def measure(run: Path, asked: Asked, out: Path | None = None, data_root: str = "") -> dict[str, Any]:
    """Scores a run in every condition asked for; writes scores.csv, a figure and robustness.json.

    They go to `out`, by default robustness in the run's folder (robustness-by-noise with `by_noise`). A condition that
    is finished is kept in `out`/conditions, and is not scored again by a later call that asks for the same.

    Returns what robustness.json holds: the run's facts, `settings` (what the figures depend on), `noise_files`,
    `n_clips` of `n_test_clips`, `differs` (in what the clean figures are not those recorded; empty: they are), and
    `conditions`, each with `figures` by name: value, its 95 % interval low..high over speakers, and `change`, the value
    less that of the clean condition.

    Raises UserError for a run that is not finished or enhances speech, for conditions without what they need, when
    there is nothing to score, and for an `out` that holds something else.
    """
    robustness_conditions.check(asked)
    tested = _open_run(run, asked, data_root)
    split = asked.split or tested.settings.noise_split
    rate_hz = from_config.rate_hz(tested.settings)
    sounds = robustness_conditions.open_sounds(asked, split, rate_hz)
    out = out or run / f"robustness{'-by-noise' if asked.by_noise else ''}"
    about = _about(tested, asked, sounds)
    _make(out)
    _check_same(out, about)  # before the lock, which would clear what others write there
    with alone_in(out), Progress() as progress:
        _check_same(out, about)
        if not (out / _RECORD).is_file():
            write_json(out / _RECORD, about)
        todo = list(robustness_conditions.cases(asked, sounds))
        scores = _score_all(todo, tested, sounds, asked.seed, out / "conditions", progress)
        record = {**about, "differs": _differs(tested, scores[0])}
        record["conditions"] = [_as_row(case, found, scores[0]) for case, found in zip(todo, scores, strict=True)]
        robustness_report.write(record, out)
        write_json(out / _RECORD, record)
    return record


def _open_run(run: Path, asked: Asked, data_root: str) -> Tested:
    opened = open_run(run, asked.fold)
    settings = opened.settings
    if opened.entry.task == "enhancement":
        raise UserError(
            f"{run}: expected a run that recognises emotions, found one of {settings.model}, whose own figures are by "
            "ratio already. See its metrics.json, or scripts/evaluate.py"
        )
    if settings.noise and asked.split not in (None, settings.noise_split):
        raise UserError(
            f"--noise-split is {asked.split}, and {run} was trained in noise divided by {settings.noise_split}: it may "
            "have heard what it would be tested in. Leave --noise-split out"
        )
    source = dataset.of_run(opened, data_root, asked.fold)
    n_test_clips = sum(len(fold.test) for fold in source.folds)
    chosen = robustness_conditions.subset(source.folds, asked.n_clips, asked.seed) if asked.n_clips else source.folds
    return Tested(run, settings, opened.record, source.protocol, chosen, n_test_clips)


def _about(tested: Tested, asked: Asked, sounds: Sounds) -> dict[str, Any]:
    """All of the record but the figures. `settings` is what they depend on, but the corpus: clean figures tell that."""
    packages = ("speech-emotion-zoo", "keras", "numpy", "scipy", "soxr", keras.backend.backend())
    folders = [fold_folder(tested.run, fold) for fold in tested.folds]
    models = [folder / name for folder in folders for name in ("model.keras", "postprocess.json")]
    models.append(tested.run / speaker_normalization.FILE)
    clips = "".join(f"{fold.name} {clip.name}\n" for fold in tested.folds for clip in fold.test)
    about = {
        "run": str(tested.run),
        **{name: tested.record[name] for name in _FACTS if name in tested.record},
        "selects_on_test": tested.protocol.selects_on_test,
        "run_versions": tested.record["versions"],
        "fold": asked.fold,
        "n_clips": tested.n_clips,
        "n_test_clips": tested.n_test_clips,
        "noise": asked.noise,
        "chain": asked.chain,  # no setting: a finished grid can be added to, for no figure of it hangs on this
        "noise_files": sounds.noises.names[SIDE] if sounds.noises else [],
        "reverberation_seconds": REVERBERATION_SECONDS if asked.rooms in DRAWN_ROOMS else {},
        "noise_unlike_training": _unlike_training(tested, sounds),
        "rooms_heard_in_training": _same_folder(asked.rooms, tested.settings.responses),
        "settings": {
            "models_sha256": _sha256("".join(file_sha256(path) for path in models if path.is_file())),
            "clips": {"n": tested.n_clips, "sha256": _sha256(clips)},
            "seed": asked.seed,
            "snr_db": asked.ratios_db,
            "snr_level": asked.level,
            "by_noise": asked.by_noise,
            "noise": sounds.noises.settings if sounds.noises else {},
            "rooms": {name: arrays_sha256({name: response}) for name, response in sounds.rooms.items()},
            "microphones": {name: arrays_sha256({name: item}) for name, item in sounds.microphones.items()},
            "versions": {name: version(name) for name in packages},
        },
    }
    return json.loads(json.dumps(about))  # as it will be read back


def _unlike_training(tested: Tested, sounds: Sounds) -> bool:
    """Whether training heard noise that is not known to be the same recordings, whose thirds are then others."""
    heard = tested.record.get("noise_sha256")
    return bool(sounds.noises and (heard or tested.settings.noise) and heard != sounds.noises.settings["sha256"])


def _same_folder(asked: str, other: str) -> bool:
    return bool(asked and other) and Path(asked).expanduser().resolve() == Path(other).expanduser().resolve()


def _make(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{out}: cannot be made ({error.strerror}); give another --out") from error


def _check_same(out: Path, about: Mapping[str, Any]) -> None:
    """Raises UserError where a folder holds figures of other settings, or something else."""
    names = sorted(path.name for path in out.iterdir() if path.name != ".lock" and not path.name.startswith(ASIDE))
    if not names:
        return
    if _RECORD not in names:
        raise UserError(f"{out}: expected a new folder, found {', '.join(names[:3])} in it. Give another --out")
    before = _read(out / _RECORD, "settings")
    changed = differences("", before, about["settings"], "{name} was {before}, now {after}")
    if changed:
        raise UserError(
            f"{out} holds figures of other settings: {'; '.join(changed)}. Ask for the same, or give another --out"
        )


def _score_all(
    todo: Sequence[Case], tested: Tested, sounds: Sounds, seed: int, folder: Path, progress: Progress
) -> list[Scores]:
    """Returns the scores of every case, from its file where that is written."""
    found = []
    with progress.task("conditions", len(todo)) as advance:
        for done, case in enumerate(todo, start=1):
            path = folder / _file_name(case)
            if not path.is_file():
                start = time.monotonic()
                scores = _score(case, tested, sounds, seed, progress)
                write_json(path, {"condition": case.name, "scores": scores})
                words = robustness_report.in_words(_figures(scores))
                progress.line(f"{case.name}: {words} ({time.monotonic() - start:.0f} s)")
            found.append(_read(path, "scores"))
            if done == 1 and _differs(tested, found[0]):  # not after hours
                progress.line(robustness_report.NOT_AS_RECORDED)
            advance(done)
    return found


def _score(case: Case, tested: Tested, sounds: Sounds, seed: int, progress: Progress) -> Scores:
    kind, corpus, rows = tasks.of(tested.settings.model), corpus_name(tested.record), []
    hear, numbers = robustness_conditions.hearing(case, sounds, seed), count(1)
    with progress.task(case.name, tested.n_clips) as advance:

        def counted(waveform: np.ndarray, clip: str) -> np.ndarray:
            advance(next(numbers))
            return hear(waveform, clip) if hear else waveform

        for fold in tested.folds:
            if fold.test:
                folder = fold_folder(tested.run, fold)
                as_heard = counted if hear else None  # the clean case is as evaluation is
                rows += kind.test_rows(folder, fold.test, tested.protocol, corpus, tested.settings, as_heard)
    return kind.scores(rows, tested.protocol)


def _differs(tested: Tested, clean: Scores) -> list[str]:
    """Says in what the clean figures are not those recorded; of a subset, not those of the recorded predictions."""
    kind, recorded = tasks.of(tested.settings.model), tested.record
    if tested.n_clips < tested.n_test_clips:
        rows = []
        for fold in tested.folds:
            names = {clip.name for clip in fold.test}
            rows += [row for row in read_rows(fold_folder(tested.run, fold)) if row["clip"] in names]
        recorded = kind.scores(rows, tested.protocol)
    return [line for name in kind.FIGURES.compared for line in differences(name, recorded[name], clean[name])]


def _figures(scores: Scores) -> dict[str, dict[str, float | None]]:
    """The figures that are shown, by name: each value, low and high."""
    if "dimensions" not in scores:
        return {name: scores[name] for name in ("ua", "wa")}
    parts = {"ccc": scores, "postprocessed_ccc": scores["postprocessed"]}
    return {f"{key}_{name}": row["ccc"] for key, part in parts.items() for name, row in part["dimensions"].items()}


def _as_row(case: Case, scores: Scores, clean: Scores) -> dict[str, Any]:
    figures, before = _figures(scores), _figures(clean)
    changes = {name: _change(score["value"], before[name]["value"]) for name, score in figures.items()}
    condition = case.condition
    return {
        "condition": case.name,
        "snr_db": condition.snr_db,
        "room": condition.room,
        "microphone": condition.microphone,
        "noise": case.noise,
        "n_clips": scores["n_recordings" if "dimensions" in scores else "n_clips"],
        "n_speakers": scores["n_speakers"],
        "figures": {name: {**score, "change": changes[name]} for name, score in figures.items()},
    }


def _change(value: float | None, clean: float | None) -> float | None:
    return None if value is None or clean is None else value - clean


def _file_name(case: Case) -> str:
    """A name for a condition's file: readable, and of no other condition."""
    return f"{re.sub(r'[^A-Za-z0-9.-]+', '-', case.name)[:60]}-{_sha256(case.name)[:8]}.json"


def _sha256(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _read(path: Path, key: str) -> Any:
    try:
        return json.loads(path.read_text())[key]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: expected what was written here before, found another or a damaged file. Remove it, or give "
            "another --out"
        ) from error
