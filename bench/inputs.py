"""Load the speech to measure on, real where it is there, else its synthetic twin; store features of it on disk."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from zoo.config.run_config import RunConfig
from zoo.config.saved import cache_folder
from zoo.data.audio.read import read
from zoo.data.corpora import registry as corpora
from zoo.data.schema import Clip
from zoo.data.synthetic import corpora as synthetic

RATE_HZ = 16_000
CORPUS = "ravdess"
_REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / CORPUS
_TWIN_CLIPS = 384


def kind_of_speech() -> str:
    return f"real {CORPUS}" if _REAL.is_dir() else f"synthetic {CORPUS}"


def corpus_root() -> Path:
    """Return the folder of the real corpus or, where it is absent, of its synthetic twin."""
    return _REAL if _REAL.is_dir() else synthetic.cached(CORPUS, cache_folder(RunConfig()), _TWIN_CLIPS)


def clips(number: int) -> list[Clip]:
    """Return so many clips, spread evenly over the corpus's speakers and emotions."""
    found = corpora.load(CORPUS, corpus_root()).clips
    return [found[index] for index in np.linspace(0, len(found) - 1, number).astype(int)]


def waveforms(number: int) -> list[np.ndarray]:
    """Return the clips' samples, each float32 (samples,) at RATE_HZ."""
    return [read(clip.path, RATE_HZ) for clip in clips(number)]


def frontend_model(frontend):
    """Return a Keras model of the front-end alone: [(batch, samples), (batch,)] -> [features, frame counts]."""
    import keras

    waveform, n_samples = keras.Input((None,)), keras.Input((), dtype="int32")
    return keras.Model([waveform, n_samples], frontend(waveform, n_samples))


def examples(chosen: Sequence[Clip], cache: Path) -> list:
    """Return zoo.data.batches.clips.Examples of the clips, their log-mel features lying below `cache`."""
    from zoo.data.batches.clips import Example
    from zoo.data.batches.feature_store import extract
    from zoo.frontends.log_mel import LogMel

    frontend = LogMel(RATE_HZ)
    features, _ = extract(chosen, _one_clip(frontend), frontend.get_config(), cache, rate_hz=RATE_HZ)
    labels = sorted({clip.label for clip in chosen})
    return [Example(features[clip.name], labels.index(clip.label)) for clip in chosen]


def _one_clip(frontend) -> Callable[[np.ndarray], np.ndarray]:
    model = frontend_model(frontend)

    def features(clip: np.ndarray) -> np.ndarray:
        output, _ = model.predict_on_batch([clip[None], np.array([len(clip)], np.int32)])
        return np.asarray(output)[0]

    return features
