"""Choose the test clips of a run to look at: its worst errors and surest answers, with sound, picture and attention."""

import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from zoo.data.audio.read import read
from zoo.data.audio.recording import BadClip
from zoo.data.schema import Clip
from zoo.errors import UserError
from zoo.pages.audio_views import spectrogram_png
from zoo.pages.embedded_audio import data_address, mp3
from zoo.runs.folder import fold_name, read_rows
from zoo.runs.open_run import OpenedRun
from zoo.utils.progress import Progress
from zoo.utils.text import printable

_SIZE = (560, 128)  # of a picture, pixels
_RIGHT = 4  # answers that are right, of an attention network: of different classes

Row = dict[str, Any]


def predictions(run: OpenedRun) -> list[Row]:
    """Return the run's test predictions: clip, speaker, fold, truth, prediction, and probabilities by class."""
    classes, found = run.protocol.classes, []
    numbers = [f"p_{name}" for name in classes]
    for row in read_rows(run.folder, ("corpus", "clip", "speaker", "truth", "prediction"), numbers):
        probabilities = {name: float(row[f"p_{name}"]) for name in classes}
        kept = {key: row[key] for key in ("clip", "speaker", "truth", "prediction")}
        found.append({**kept, "probabilities": probabilities, "largest": probabilities.get(row["prediction"], 0.0)})
    return found


def worst(rows: Sequence[Row], n: int) -> list[Row]:
    """Return the `n` errors of which the run was surest: the largest probability of a wrong class."""
    wrong = [row for row in rows if row["truth"] != row["prediction"]]
    return sorted(wrong, key=lambda row: (-row["largest"], row["clip"]))[:n]


def surest(rows: Sequence[Row], n: int) -> list[Row]:
    """Return the surest right answer of each of `n` classes, the surest class first."""
    best: dict[str, Row] = {}
    for row in sorted(rows, key=lambda row: (-row["largest"], row["clip"])):
        if row["truth"] == row["prediction"]:
            best.setdefault(row["truth"], row)
    return list(best.values())[:n]


def shown(
    run: OpenedRun, rows: Sequence[Row], data_root: str, n: int, progress: Progress | None = None
) -> dict[str, Any]:
    """Return {"worst", "surest": cards, "without": why there is no sound, or ""}.

    A card is a row with "audio", "pictures" (title and address), and "why" there are none. Without the corpus and
    without `data_root`, which says that it must be there, cards have neither. Raises UserError where the corpus is not
    in `data_root`.
    """
    chosen = worst(rows, n)
    try:
        places, without = _places(run, data_root), ""
    except UserError as error:
        if data_root:
            raise
        places, without = {}, f"The corpus was not found, so that clips have no sound: {error.message}"
        print(printable(f"{without}. Name it with --data-root"), file=sys.stderr)
    looks = _Looks(run) if places else None
    right = surest(rows, min(n, _RIGHT)) if looks and looks.attentive else []
    every = [*chosen, *right]
    with progress.task("clips", len(every)) if progress else nullcontext(lambda done: None) as advance:
        for number, row in enumerate(every, 1):
            row |= _card(row, places, looks)
            advance(number)
    return {"worst": chosen, "surest": right, "without": without, "attentive": bool(looks and looks.attentive)}


def _places(run: OpenedRun, data_root: str) -> dict[str, tuple[Clip, str]]:
    """Return each test clip by its name, with the name of its fold."""
    from zoo.runs import dataset

    source = dataset.of_run(run, data_root)
    known = {fold_name(folder) for folder in run.fold_folders}
    return {clip.name: (clip, fold.name) for fold in source.folds if fold.name in known for clip in fold.test}


class _Looks:
    """The attention of each fold's model, loaded when a clip of the fold comes."""

    def __init__(self, run: OpenedRun):
        self._run, self._folds = run, dict[str, Any]()
        self.attentive = run.entry.takes_waveforms and self.of(fold_name(run.fold_folders[0])) is not None

    def of(self, fold: str) -> Any:
        from zoo.pages.attention_maps import looks_of

        if fold not in self._folds:
            folder = next(path for path in self._run.fold_folders if fold_name(path) == fold)
            self._folds[fold] = looks_of(folder, self._run.settings)
        return self._folds[fold]


def _card(row: Mapping[str, Any], places: Mapping[str, tuple[Clip, str]], looks: _Looks | None) -> Row:
    nothing: Row = {"audio": "", "pictures": [], "why": ""}
    if looks is None:
        return nothing
    if row["clip"] not in places:
        return {**nothing, "why": "The clip is not in the corpus that is here."}
    clip, fold = places[row["clip"]]
    try:
        waveform = read(clip.path, segment=clip.segment)
        audio = data_address(mp3(Path(clip.path), segment=clip.segment), "audio/mpeg")
    except BadClip as error:
        return {**nothing, "why": f"The clip cannot be read: {error.found}."}
    if not looks.attentive:
        picture = data_address(spectrogram_png(waveform, 16_000, *_SIZE), "image/png")
        return {"audio": audio, "pictures": [("spectrogram, 0 to 8 kHz", picture)], "why": ""}
    return {"audio": audio, "pictures": _attention(looks.of(fold), clip), "why": ""}


def _attention(looks: Any, clip: Clip) -> list[tuple[str, str]]:
    from zoo.pages.attention_maps import in_words, overlay

    features, weights = looks(read(clip.path, segment=clip.segment))
    titles = in_words(list(weights))
    found = [
        (f"attention, {titles[name]}", data_address(overlay(features, one), "image/webp"))
        for name, one in weights.items()
    ]
    return [("features", data_address(overlay(features), "image/webp")), *found]
