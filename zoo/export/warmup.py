"""Requests that a server answers before it takes a version into use, so that its first real one is not slow.

They lie beside the graph, in assets.extra/tf_serving_warmup_requests: a TFRecord file of tensorflow.serving's
PredictionLog, whose protocol buffers come with tensorflow-serving-api.
"""

from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import UserError

REQUESTS = Path("assets.extra") / "tf_serving_warmup_requests"
EXTRA = "serving"
MOST = 1000  # servers refuse files with more

Request = Mapping[str, np.ndarray]


def available() -> bool:
    """Says whether tensorflow-serving-api is installed."""
    return find_spec("tensorflow_serving") is not None


def write_warmup(
    folder: Path, requests: Sequence[Request], signature: str = "serving_default", model: str = "model"
) -> Path:
    """Writes requests, {input: array} each, into a version's folder; returns the file.

    Raises UserError without tensorflow-serving-api, or for more than `MOST` requests.
    """
    import tensorflow as tf

    if not 1 <= len(requests) <= MOST:
        raise UserError(f"warm-up: expected 1 to {MOST} requests, found {len(requests)}")
    prediction_log_pb2 = _prediction_log()
    path = folder / REQUESTS
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for request in requests:
            log = prediction_log_pb2.PredictionLog()
            log.predict_log.request.model_spec.name = model
            log.predict_log.request.model_spec.signature_name = signature
            for name, value in request.items():
                log.predict_log.request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
            writer.write(log.SerializeToString(deterministic=True))
    return path


def requests_for(description: Mapping[str, Any]) -> list[dict[str, np.ndarray]]:
    """Returns requests of the default signature for an export's description: one second, alone and four together."""
    rng = np.random.default_rng(0)
    inputs = description["signatures"]["serving_default"]["inputs"]
    shortest, longest = description["shortest"], description["longest"]
    if "waveform" in inputs:
        size = min(max(shortest, description["rate_hz"]), longest)
        return [_request("waveform", "n_samples", rng.normal(0, 0.05, (n, size)), size) for n in (1, 4)]
    size = min(max(shortest, 25), longest)
    bands = inputs["features"]["shape"][-1]
    return [_request("features", "n_frames", rng.normal(0, 1, (n, size, bands)), size) for n in (1, 4)]


def replay(folder: Path, signatures: Mapping[str, Any]) -> int:
    """Asks the signatures of a loaded SavedModel every request of its file; returns how many there were.

    Raises UserError where the file is absent or damaged, holds no request or one that is not answered with finite
    numbers.
    """
    import tensorflow as tf

    count = 0
    for number, request in enumerate(_read(folder / REQUESTS), 1):
        name = request.model_spec.signature_name
        inputs = {key: tf.constant(tf.make_ndarray(value)) for key, value in request.inputs.items()}
        try:
            answers = signatures[name](**inputs)
        except (tf.errors.OpError, KeyError, TypeError) as error:
            raise _damaged(folder, f"request {number} of signature {name!r}, which fails: {error}") from error
        for key, value in answers.items():
            if not np.isfinite(value.numpy()).all():
                raise _damaged(folder, f"request {number}, answered with {key} that is not finite")
        count = number
    if not count:
        raise _damaged(folder, "no request in it")
    return count


def _read(path: Path) -> Iterator[Any]:
    import tensorflow as tf
    from google.protobuf.message import DecodeError

    prediction_log_pb2 = _prediction_log()
    if not path.is_file():
        raise UserError(f"{path}: no warm-up requests are there; export the run again with tensorflow-serving-api")
    try:
        for record in tf.data.TFRecordDataset(str(path)):
            yield prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
    except (tf.errors.DataLossError, DecodeError) as error:
        raise _damaged(path.parents[1], str(error).partition("\n")[0]) from error


def _request(values: str, counts: str, rows: np.ndarray, size: int) -> dict[str, np.ndarray]:
    return {values: rows.astype(np.float32), counts: np.full(len(rows), size, np.int32)}


def _prediction_log() -> Any:
    if not available():
        raise UserError(f"warm-up requests need tensorflow-serving-api: pip install -e '.[{EXTRA}]'")
    from tensorflow_serving.apis import prediction_log_pb2

    return prediction_log_pb2


def _damaged(folder: Path, found: str) -> UserError:
    return UserError(f"{folder / REQUESTS}: expected requests that are answered, found {found}. Export the run again")
