"""Write synthetic twins of the corpora with ratings along recordings: RECOLA and Emotion in Music.

Each recording is a monologue by a speaker of its own, with smoothly varying arousal and valence, which are the labels,
without delay. RECOLA's website release has single raters, each with a bias, a scale, a noise and a lag of their own.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
from numpy.random import Generator

from zoo.data.corpora import recola
from zoo.data.synthetic import voice
from zoo.errors import UserError

GENERATOR_VERSION = 2  # raise it whenever the same seed gives other bytes
Seconds = tuple[float, float]  # shortest, longest


@dataclass(frozen=True, eq=False)
class Recording:
    """`values` (voice.FRAMES_PER_SECOND * seconds + 1, 2) are arousal and valence, the first at 0 s, in -1..1."""

    index: int
    samples: np.ndarray
    rate_hz: int
    values: np.ndarray
    rng: Generator  # where the voice left it


@dataclass(frozen=True)
class RatedTwin:
    """What the synthetic twin of a corpus that is rated continuously looks like."""

    clips: tuple[int, int, int]  # the usual, the least and the greatest number of recordings
    usual_seconds: Seconds
    bounds: Seconds  # of what may replace the usual seconds
    layouts: Mapping[str, Callable[[Path, Iterator[Recording]], None]]  # the first is the usual one
    rate_hz: int = 16000
    version: int = GENERATOR_VERSION

    def write(self, root: Path, corpus: str, n_clips: int, seed: int, seconds: Seconds, layout: str) -> None:
        """Write the twin below `root`. A recording does not depend on how many others there are, nor on the layout."""

        def recording(index: int) -> Recording:
            rng = np.random.default_rng([seed, index, *corpus.encode()])
            speaker = voice.draw_speaker("FM"[index // 2 % 2], rng)  # even and odd ones go to different sides
            n_labels = round(rng.uniform(*seconds) / recola.STEP_SECONDS)
            values = _wander(round(n_labels * recola.STEP_SECONDS * voice.FRAMES_PER_SECOND) + 1, rng)
            samples = voice.monologue(values[:, 0], values[:, 1], speaker, rng, self.rate_hz)
            return Recording(index, samples, self.rate_hz, values, rng)

        self.layouts[layout](root, map(recording, range(n_clips)))


def _wander(n_frames: int, rng: Generator, spread: float = 0.55) -> np.ndarray:
    """Draw arousal and valence (n_frames, 2) within -1..1: waves of 7 to 45 s around the speaker's own level."""
    seconds = np.arange(n_frames)[:, None, None] / voice.FRAMES_PER_SECOND
    periods = np.geomspace(8, 40, 6) * rng.uniform(0.9, 1.1, (2, 6))
    waves = np.cos(2 * np.pi * (seconds / periods + rng.random((2, 6))))  # (n_frames, 2, 6)
    level = rng.normal(0, 0.15, 2)
    return np.tanh(level + spread * np.sqrt(2 / 6) * waves.sum(axis=2))


def _every(values: np.ndarray, seconds: float) -> np.ndarray:
    return values[:: round(seconds * voice.FRAMES_PER_SECOND)]


@contextmanager
def complete_folder(out: Path) -> Iterator[Path]:
    """Yield a folder to be filled, which becomes `out` at the end of the body: complete or not at all.

    Raises UserError on an `out` that is a file or holds anything, and when the disk refuses.
    """
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise UserError(f"{out} exists and is not an empty folder; give a new one or remove it")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as aside:
            root = Path(aside) / "corpus"
            yield root
            root.replace(out)
    except (OSError, soundfile.SoundFileError) as error:
        raise UserError(f"cannot write the synthetic corpus to {out}: {error}. Choose a folder with room.") from error


def write_audio(path: Path, samples: np.ndarray, rate_hz: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    audio_format, subtype = ("MP3", "MPEG_LAYER_III") if path.suffix == ".mp3" else ("WAV", "PCM_16")
    soundfile.write(path, samples, rate_hz, format=audio_format, subtype=subtype)


def write_lines(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


RECOLA_SIDES = ("train", "dev")  # of recordings in turn
_GOLD_HEAD = ["@relation GOLDSTANDARD", "", "@attribute Instance_name string"]
_GOLD_HEAD += ["@attribute frameTime numeric", "@attribute GoldStandard numeric", "", "@data", ""]


def write_avec(root: Path, name: str, samples: np.ndarray, rate_hz: int, values: np.ndarray) -> None:
    """Write a recording and its gold standard (steps, 2), a step every 0.04 s from 0 s, as released for AVEC 2016."""
    write_audio(root / "recordings_audio" / f"{name}.wav", samples, rate_hz)
    for dimension, track in zip(recola.DIMENSIONS, values.T, strict=True):
        rows = [f"{name},{step * recola.STEP_SECONDS:.2f},{value:.6f}" for step, value in enumerate(track)]
        write_lines(root / "ratings_gold_standard" / dimension / f"{name}.arff", _GOLD_HEAD + rows)


def _write_recola(root: Path, recordings: Iterator[Recording], website: bool) -> None:
    """Write audio, and for each dimension the gold standard as for AVEC 2016 or the ratings of the website's raters."""
    partition = ["recording,part"]  # for recola-full: of dev's recordings every second one is tested
    for recording in recordings:
        number, side = divmod(recording.index, 2)
        part = RECOLA_SIDES[side]
        name = f"P{recola.PARTS[part][number]}" if website else f"{part}_{number + 1}"
        partition.append(f"{name},{'test' if part == 'dev' and number % 2 else part}")
        values = _every(recording.values, recola.STEP_SECONDS)
        if not website:
            write_avec(root, name, recording.samples, recording.rate_hz, values)
            continue
        write_audio(root / "RECOLA-Audio-recordings" / f"{name}.wav", recording.samples, recording.rate_hz)
        for dimension, track in zip(recola.DIMENSIONS, values.T, strict=True):
            lines = ["time;" + " ;".join(recola.RATERS)]  # the release has these blanks
            for step, ratings in enumerate(_raters(track, recording.rng)):
                lines.append(";".join([f"{step * recola.STEP_SECONDS:.2f}", *map("{:.6f}".format, ratings)]))
            write_lines(root / "RECOLA-Annotation/emotional_behaviour" / dimension / f"{name}.csv", lines)
    write_lines(root / recola.PARTITION, partition)


def _raters(track: np.ndarray, rng: Generator) -> np.ndarray:
    """Return (steps, raters) in -1..1: each follows the trace late, with a scale, a bias and a noise of their own."""
    ratings = []
    for _ in recola.RATERS:
        lag = rng.integers(0, 20)  # frames, up to 0.8 s
        late = np.concatenate([np.repeat(track[0], lag), track[: len(track) - lag]])
        own = _every(_wander(2 * len(track), rng, 0.15), recola.STEP_SECONDS)[:, 0]  # bias and noise
        ratings.append(rng.uniform(0.6, 1) * late + own)
    return np.clip(np.stack(ratings, axis=1), -1, 1)


MUSIC_STEPS_MS = range(15_000, 45_001, 500)
SONG_COLUMNS = (
    *("song_id", "file_name", "Artist", "Song title", "start of the segment (min.sec)"),
    *("end of the segment (min.sec)", "Genre", "Mediaeval 2013 set"),
)


def _write_music(root: Path, recordings: Iterator[Recording]) -> None:
    """Write clips_45seconds/<id>.mp3 and annotations/{songs_info,{arousal,valence}_cont_{average,std}}.csv."""
    songs = [",".join(SONG_COLUMNS)]
    header = ",".join(["song_id", *(f"sample_{step}ms" for step in MUSIC_STEPS_MS)])
    tables = {f"{dimension}_cont_{what}": [header] for dimension in recola.DIMENSIONS for what in ("average", "std")}
    for recording in recordings:
        song = recording.index + 2  # the release's first is 2
        side = "evaluation" if recording.index % 5 == 4 else "development"  # about its 125 of 744
        write_audio(root / "clips_45seconds" / f"{song}.mp3", recording.samples, recording.rate_hz)
        songs.append(f"{song},{song}.mp3,Nobody {song}\t,Monologue {song}\t,0.00,0.45,Speech,{side}")  # with its tabs
        rated = _every(recording.values, 0.5)[MUSIC_STEPS_MS[0] // 500 :]
        for dimension, track in zip(recola.DIMENSIONS, rated.T, strict=True):
            deviations = recording.rng.uniform(0.1, 0.4, len(track))
            for what, row in (("average", track), ("std", deviations)):
                tables[f"{dimension}_cont_{what}"].append(",".join([str(song), *(f"{value:.6f}" for value in row)]))
    write_lines(root / "annotations" / "songs_info.csv", songs)
    for name, lines in tables.items():
        write_lines(root / "annotations" / f"{name}.csv", lines)


TWINS = {
    "recola": RatedTwin(
        clips=(12, 2, 18),
        usual_seconds=(40.0, 40.0),
        bounds=(1.0, 600.0),
        layouts={
            "avec-2016": partial(_write_recola, website=False),
            "website": partial(_write_recola, website=True),
        },
    ),
    "mediaeval_music": RatedTwin(
        clips=(20, 5, 744),
        usual_seconds=(45.0, 45.0),
        bounds=(45.0, 45.0),  # the annotations begin at 15 s and end at 45 s
        layouts={"mediaeval-2013": _write_music},
        rate_hz=44100,
    ),
}
