"""Predict by a published emotion head on its speech encoder, as ser convert-weights writes both into a folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from zoo.data.batches.by_length import in_batches
from zoo.data.corpora.label_maps import WORDS
from zoo.errors import UserError
from zoo.inference.embedding import with_embedding
from zoo.inference.predictor import Predictor
from zoo.inference.stream_model import Live
from zoo.models import encoders
from zoo.models.encoder_config import EncoderHead
from zoo.models.wav2vec2 import with_head
from zoo.models.weights import encoder_folder, encoder_memory
from zoo.models.weights.encoder_folder import Converted

CLIP_SECONDS = 60.0  # longest recording that is predicted whole, unless the user says otherwise
BATCH_SECONDS = 30  # of audio in one batch: the first convolution makes 2048 bytes of each sample's fifth
_LIVE_SECONDS = 60.0  # longest window of a stream


def of_weights(folder: Path, max_seconds: float | None = None) -> Predictor:
    """Load a converted folder with a head: classes as every model of emotions has them, or ratings of a clip.

    Recordings longer than `max_seconds` are predicted in windows. Raises UserError for a folder without a head, or
    damaged, and where its network needs more memory than is free.
    """
    if max_seconds is not None and not 0 < max_seconds < float("inf"):
        raise UserError(f"--max-clip-seconds is {max_seconds}, expected a finite number above 0")
    found, longest = _read(folder), max_seconds or CLIP_SECONDS
    encoder_memory.check(str(folder), found.config, BATCH_SECONDS, found.head)
    network = with_embedding(_network(found))
    rate_hz = found.config.rate_hz

    def outputs(waveforms: Sequence[np.ndarray], which: int) -> list[np.ndarray]:
        def run(rows: np.ndarray, lengths: np.ndarray) -> np.ndarray:
            return np.asarray(network.predict_on_batch({"features": rows[..., None], "n_frames": lengths})[which])

        return in_batches(run, waveforms, BATCH_SECONDS * rate_hz, multiple=rate_hz)

    assert found.head
    return Predictor(
        found.head.labels,
        trained_on(found),
        rate_hz,
        found.config.least_samples / rate_hz,
        longest,
        lambda waveforms: outputs(waveforms, 0),
        rates_clips=found.head.regression,
        embed_waveforms=lambda waveforms: outputs(waveforms, 1),
    )


def live(folder: Path) -> Live:
    """Adapt a converted folder with a head of classes for streaming, by windows. Raises UserError as `of_weights`."""
    predictor = of_weights(folder)
    if predictor.rates_clips:
        found = f"{folder} rates clips as wholes: {', '.join(predictor.outputs)}"
        raise UserError(f"--stream is for classes of emotion, or ratings all along a recording, and {found}")
    limits = round(predictor.min_seconds * predictor.rate_hz), round(_LIVE_SECONDS * predictor.rate_hz)
    facts = predictor.outputs, predictor.trained_on, predictor.rate_hz
    return Live(*facts, lambda window: predictor.predict_waveforms([window])[0], *limits)


def describe(folder: Path) -> dict[str, Any]:
    """Return what is known of a converted folder with a head: its task, outputs, licence, checksum. Reads no weights.

    Raises UserError as `of_weights`.
    """
    found = _with_head(encoder_folder.describe(folder))
    assert found.head
    about: dict[str, Any] = {"task": "ratings of a clip" if found.head.regression else "emotion"}
    about |= {"outputs": list(found.head.labels), "trained_on": trained_on(found), "licence": found.licence}
    return {**about, "weights_sha256": found.sha256, "family": found.config.family}


def trained_on(found: Converted) -> str:
    """Return what rows say of a head's training: the folder's name, as the publication's data is not known here."""
    return f"published weights {found.folder.resolve().name}"


def notices(folder: Path) -> list[str]:
    """Return sentences on a head for its user: the licence, and names of classes that are no known emotions."""
    found = _with_head(encoder_folder.describe(folder))
    said = [f"{folder}: published weights, licence {found.licence}"]
    head = found.head
    assert head
    if not head.regression and not _emotions(head):
        said.append(
            f"{folder}: none of its classes, {', '.join(head.labels[:5])}, is an emotion that is known here; answers "
            "have these names (id2label in the published config.json)"
        )
    return said


def _emotions(head: EncoderHead) -> list[str]:
    return [label for label in head.labels if label.casefold() in WORDS.names]


def _read(folder: Path) -> Converted:
    return _with_head(encoder_folder.read(folder))


def _with_head(found: Converted) -> Converted:
    if found.head is None:
        raise UserError(
            f"{found.folder}: expected weights with an emotion head, found a {found.config.family} encoder alone; "
            f"train a head on it: ser train --model {found.config.family} --weights {found.folder} ..."
        )
    return found


def _network(found: Converted) -> keras.Model:
    assert found.head
    network = with_head(encoders.build(found.config), found.head)
    encoder_folder.load_into(network, found)
    network.trainable = False
    return network
