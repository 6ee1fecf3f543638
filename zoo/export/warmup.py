"""Write the requests that a server answers before it takes a version into use, so that its first real one is not slow.

They are in assets.extra/tf_serving_warmup_requests: a TFRecord file of tensorflow.serving's PredictionLog, its protocol
buffers from tensorflow-serving-api.
"""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import UserError
from zoo.export.requests import Inputs, answer, takes_waveforms

REQUESTS = Path("assets.extra") / "tf_serving_warmup_requests"


def available() -> bool:
    """Say whether tensorflow-serving-api is installed."""
    return find_spec("tensorflow_serving") is not None


def write_warmup(folder: Path, requests: Sequence[Inputs], model: str) -> None:
    """Write requests of the default signature, {input: array} each, into a version's folder; `model` is its name."""
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    path = folder / REQUESTS
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for inputs in requests:
            log = prediction_log_pb2.PredictionLog()
            request = log.predict_log.request
            request.model_spec.name, request.model_spec.signature_name = model, "serving_default"
            for name, value in inputs.items():
                request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
            writer.write(log.SerializeToString(deterministic=True))


def requests_for(description: Mapping[str, Any]) -> list[Inputs]:
    """Return requests of the default signature for an export's description: one second, alone and four together."""
    rng, waveforms = np.random.default_rng(0), takes_waveforms(description)
    size = min(max(description["shortest"], description["rate_hz"] if waveforms else 25), description["longest"])
    values, counts, deviation = ("waveform", "n_samples", 0.05) if waveforms else ("features", "n_frames", 1.0)
    channels = description["signatures"]["serving_default"]["inputs"][values]["shape"][2:]
    return [
        {values: rng.normal(0, deviation, (n, size, *channels)).astype("float32"), counts: np.full(n, size, np.int32)}
        for n in (1, 4)
    ]


def replay(folder: Path, signatures: Mapping[str, Any]) -> int:
    """Run the requests of a SavedModel's file through its signatures; return how many there were.

    Raises UserError where the file is absent or damaged, holds no request or one without a finite answer.
    """
    import tensorflow as tf
    from google.protobuf.message import DecodeError
    from tensorflow_serving.apis import prediction_log_pb2

    path = folder / REQUESTS
    if not path.is_file():
        raise UserError(f"{path}: no warm-up requests are there; export the run again with tensorflow-serving-api")
    try:
        records = list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
        requests = [prediction_log_pb2.PredictionLog.FromString(record).predict_log.request for record in records]
    except (tf.errors.DataLossError, DecodeError) as error:
        raise _damaged(path, str(error).partition("\n")[0]) from error
    for number, request in enumerate(requests, 1):
        name = request.model_spec.signature_name
        try:
            found = answer(signatures, name, {key: tf.make_ndarray(value) for key, value in request.inputs.items()})
        except (tf.errors.OpError, KeyError, TypeError) as error:
            raise _damaged(path, f"request {number} of signature {name!r}, which fails: {error}") from error
        if not all(np.isfinite(values).all() for values in found.values()):
            raise _damaged(path, f"request {number}, with an answer that is not finite")
    if not requests:
        raise _damaged(path, "no request in it")
    return len(requests)


def _damaged(path: Path, found: str) -> UserError:
    return UserError(f"{path}: expected requests that are answered, found {found}. Export the run again")
