"""Score a finished run again on its test utterances in noise, in rooms and through other microphones.

Nothing is fitted or chosen here. Noise is of the side that is kept for testing, which no training on the same
recordings has used; a run trained in other noise, such as a folder that has grown since, may have used some of it:
every output says so. An altered utterance depends on the seed, the utterance and the condition alone, so that runs of
one corpus are compared on the same waveforms.
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

from zoo.data.audio.scan import arrays_sha256, file_sha256
from zoo.data.schema import Fold
from zoo.errors import UserError
from zoo.features import from_config, speaker_normalization
from zoo.runs import dataset
from zoo.runs.folder import check_holds, check_tested, fold_folder, read_rows
from zoo.runs.lock import alone_in
from zoo.runs.open_run import OpenedRun, open_run
from zoo.runs.record_shape import RECORD
from zoo.studies import robustness_conditions, robustness_report
from zoo.studies.robustness_conditions import DRAWN_ROOMS, REVERBERATION_SECONDS, SIDE, Asked, Case, Sounds
from zoo.training.evaluate import changed_figures, differences, recorded_scores
from zoo.training.tasks import base as tasks
from zoo.utils.atomic_files import ASIDE, write_json
from zoo.utils.json_files import read_json
from zoo.utils.progress import Progress

_RECORD = "robustness.json"
_OURS, _ADVICE = "an earlier call's file", "Remove it, or give another --out"
_FACTS = (
    *("model", "recipe", "corpus", "protocol", "synthetic", "speaker_independent"),
    *("leakage", "notes", "bad_clips", "warnings"),
)

Scores = dict[str, Any]


@dataclass(frozen=True)
class Tested:
    """The part of a run that is scored: the test clips of `folds`, out of `n_test_clips`."""

    run: OpenedRun
    folds: tuple[Fold, ...]
    n_test_clips: int

    @property
    def n_clips(self) -> int:
        return sum(len(fold.test) for fold in self.folds)


def measure(run: Path, asked: Asked, out: Path | None = None, data_root: str = "") -> dict[str, Any]:
    """Score a run in every chosen condition; write scores.csv, a figure and robustness.json.

    They go to `out`, by default robustness in the run's folder (robustness-by-noise with `by_noise`). A finished
    condition is kept in `out`/conditions, and not scored again by a later call with the same settings.

    Returns the content of robustness.json: the run's facts, `settings` (what the figures depend on), `noise_files`,
    `n_clips` of `n_test_clips`, `differs` (how the clean figures differ from those recorded), and `conditions`, each
    with `figures` by name: value, its 95 % interval low..high over speakers, and `change` from the clean value.

    Raises UserError for a run that is not finished or enhances speech, for conditions without what they need, when
    there is nothing to score, and for an `out` that holds something else.
    """
    robustness_conditions.check(asked)
    tested = _open(run, asked, data_root)
    settings = tested.run.settings
    sounds = robustness_conditions.open_sounds(
        asked, asked.split or settings.noise_split, from_config.rate_hz(settings)
    )
    out = out or run / f"robustness{'-by-noise' if asked.by_noise else ''}"
    about = _about(tested, asked, sounds)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{out}: cannot be made ({error.strerror}); give another --out") from error
    _check_same(out, about)  # before the lock, which would clear what others write there
    with alone_in(out), Progress() as progress:
        if not any((out / "conditions").glob("*.json")):
            write_json(out / _RECORD, about)
        todo = list(robustness_conditions.cases(asked, sounds))
        scores = _score_all(todo, tested, sounds, asked.seed, out / "conditions", progress)
        record = {**about, "differs": _differs(tested, scores[0])}
        record["conditions"] = [_as_row(case, found, scores[0]) for case, found in zip(todo, scores, strict=True)]
        robustness_report.write(record, out)
        write_json(out / _RECORD, record)
    return record


def _open(run: Path, asked: Asked, data_root: str) -> Tested:
    opened = open_run(run, asked.fold)
    settings = opened.settings
    check_tested(opened.record, run)
    if opened.entry.task == "enhancement":
        raise UserError(
            f"{run}: expected a run that recognises emotions, found one of {settings.model}, with figures by ratio in "
            "metrics.json"
        )
    if settings.noise and asked.split not in (None, settings.noise_split):
        raise UserError(
            f"--noise-split is {asked.split}, and {run} was trained in noise divided by {settings.noise_split}: test "
            "noise may have been in training. Leave --noise-split out"
        )
    folds = dataset.of_run(opened, data_root, asked.fold).folds
    n_test_clips = sum(len(fold.test) for fold in folds)
    chosen = robustness_conditions.subset(folds, asked.n_clips, asked.seed) if asked.n_clips else folds
    return Tested(opened, chosen, n_test_clips)


def _about(tested: Tested, asked: Asked, sounds: Sounds) -> dict[str, Any]:
    """Return the record without its figures. Another corpus shows in the clean figures, not in its `settings`."""
    run, record, noises = tested.run, tested.run.record, sounds.noises
    packages = ("speech-emotion-zoo", "keras", "numpy", "scipy", "soxr", keras.backend.backend())
    folders = [fold_folder(run.folder, fold) for fold in tested.folds]
    models = [folder / name for folder in folders for name in ("model.keras", "postprocess.json")]
    models.append(run.folder / speaker_normalization.FILE)
    clips = "".join(f"{fold.name} {clip.name}\n" for fold in tested.folds for clip in fold.test)
    trained_on, trained_rooms = record.get("noise_sha256"), run.settings.responses
    unlike = bool(noises and (trained_on or run.settings.noise) and trained_on != noises.settings["sha256"])
    same_rooms = bool(asked.rooms and trained_rooms) and _resolved(asked.rooms) == _resolved(trained_rooms)
    about = {
        "run": str(run.folder),
        **{name: record[name] for name in _FACTS if name in record},
        "selects_on_test": run.protocol.selects_on_test,
        "run_versions": record["versions"],
        "fold": asked.fold,
        "n_clips": tested.n_clips,
        "n_test_clips": tested.n_test_clips,
        "noise": asked.noise,
        "chain": asked.chain,  # no setting: no figure depends on it, so that chains can be added to a finished grid
        "noise_files": noises.names[SIDE] if noises else [],
        "reverberation_seconds": REVERBERATION_SECONDS if asked.rooms in DRAWN_ROOMS else {},
        "noise_unlike_training": unlike,
        "rooms_heard_in_training": same_rooms,
        "settings": {
            "models_sha256": _sha256("".join(file_sha256(path) for path in models if path.is_file())),
            "clips": {"n": tested.n_clips, "sha256": _sha256(clips)},
            "seed": asked.seed,
            "snr_db": asked.ratios_db,
            "snr_level": asked.level,
            "by_noise": asked.by_noise,
            "noise": noises.settings if noises else {},
            "rooms": {name: arrays_sha256({name: response}) for name, response in sounds.rooms.items()},
            "microphones": {name: arrays_sha256({name: item}) for name, item in sounds.microphones.items()},
            "versions": {name: version(name) for name in packages},
        },
    }
    return json.loads(json.dumps(about))  # as it will be read back


def _resolved(folder: str) -> Path:
    return Path(folder).expanduser().resolve()


def _check_same(out: Path, about: Mapping[str, Any]) -> None:
    """Raise UserError where a folder holds figures of other settings, or something else."""
    names = sorted(path.name for path in out.iterdir() if path.name != ".lock" and not path.name.startswith(ASIDE))
    if not names:
        return
    if _RECORD not in names:
        raise UserError(f"{out}: expected a new folder, found {', '.join(names[:3])} in it. Give another --out")
    if not any((out / "conditions").glob("*.json")):
        return  # an earlier call ended before it had any figure
    before = read_json(out / _RECORD, _OURS, {"settings": {str: object}}, _ADVICE)["settings"]
    if changed := differences("", before, about["settings"], "{name} was {before}, now {after}"):
        found = "; ".join(changed)
        raise UserError(f"{out} holds figures of other settings: {found}. Repeat them, or give another --out")


def _score_all(
    todo: Sequence[Case], tested: Tested, sounds: Sounds, seed: int, folder: Path, progress: Progress
) -> list[Scores]:
    """Return the scores of every case, from its file where that is written."""
    found = []
    with progress.task("conditions", len(todo)) as advance:
        for done, case in enumerate(todo, start=1):
            # Readable, and no other condition's.
            path = folder / f"{re.sub(r'[^A-Za-z0-9.-]+', '-', case.name)[:60]}-{_sha256(case.name)[:8]}.json"
            if not path.is_file():
                start = time.monotonic()
                scores = _score(case, tested, sounds, seed, progress)
                write_json(path, {"condition": case.name, "scores": scores})
                words = robustness_report.in_words(_figures(scores))
                progress.line(f"{case.name}: {words} ({time.monotonic() - start:.0f} s)")
            found.append(_read_scores(path, tested))
            if done == 1 and _differs(tested, found[0]):  # not after hours
                progress.line(robustness_report.NOT_AS_RECORDED)
            advance(done)
    return found


def _score(case: Case, tested: Tested, sounds: Sounds, seed: int, progress: Progress) -> Scores:
    run, rows = tested.run, []
    task, alter, numbers = tasks.of(run.settings.model), robustness_conditions.alter(case, sounds, seed), count(1)
    with progress.task(case.name, tested.n_clips) as advance:

        def counted(waveform: np.ndarray, clip: str) -> np.ndarray:
            advance(next(numbers))
            return alter(waveform, clip) if alter else waveform

        for fold in tested.folds:
            if fold.test:
                folder = fold_folder(run.folder, fold)
                altered = counted if alter else None  # the clean case is as evaluation is
                rows += task.test_rows(folder, fold.test, run.protocol, run.corpus, run.settings, altered)
    return task.scores(rows, run.protocol)


def _differs(tested: Tested, clean: Scores) -> list[str]:
    """Return how clean figures differ from those recorded; of a subset, from those of the recorded predictions."""
    task, recorded = tasks.of(tested.run.settings.model), tested.run.record
    if tested.n_clips < tested.n_test_clips:
        rows = []
        for fold in tested.folds:
            names = {clip.name for clip in fold.test}
            rows += [row for row in read_rows(fold_folder(tested.run.folder, fold), ("clip",)) if row["clip"] in names]
        recorded = recorded_scores(rows, tested.run.settings, tested.run.protocol, tested.run.folder)
    check_holds(recorded, task.FIGURES.compared, tested.run.folder / "metrics.json")
    return changed_figures(task, recorded, clean)


def _figures(scores: Scores) -> dict[str, dict[str, float | None]]:
    """Return the figures that are shown, by name: each value, low and high."""
    if "dimensions" not in scores:
        return {name: scores[name] for name in ("ua", "wa")}
    parts = {"ccc": scores, "postprocessed_ccc": scores["postprocessed"]}
    return {f"{key}_{name}": row["ccc"] for key, part in parts.items() for name, row in part["dimensions"].items()}


def _as_row(case: Case, scores: Scores, clean: Scores) -> dict[str, Any]:
    figures, condition = {}, case.condition
    for name, before in _figures(clean).items():
        score = _figures(scores)[name]
        value, was = score["value"], before["value"]
        figures[name] = {**score, "change": None if value is None or was is None else value - was}
    return {
        "condition": case.name,
        **{name: getattr(condition, name) for name in ("snr_db", "room", "microphone")},
        "noise": case.noise,
        "n_clips": scores["n_recordings" if "dimensions" in scores else "n_clips"],
        "n_speakers": scores["n_speakers"],
        "figures": figures,
    }


def _sha256(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _read_scores(path: Path, tested: Tested) -> Scores:
    scores = read_json(path, _OURS, {"scores": RECORD}, _ADVICE)["scores"]
    compared = tasks.of(tested.run.settings.model).FIGURES.compared
    if absent := [name for name in (*compared, "n_speakers") if name not in scores]:
        raise UserError(f"{path}: expected {_OURS}, found none of {', '.join(absent)}. {_ADVICE}")
    return scores
