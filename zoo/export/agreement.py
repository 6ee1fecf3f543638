"""Holds an export, as written, against the run it was made of."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np
import soundfile

from zoo.data.batches.by_length import padded
from zoo.errors import UserError
from zoo.export.calibration import with_temperature
from zoo.export.signatures import Plan
from zoo.export.trained_run import Trained
from zoo.features.extractor import of_layer
from zoo.inference import postprocess
from zoo.inference.continuous import tracer_of
from zoo.inference.stream import Stream
from zoo.serving import saved_model

TOLERANCE = 1e-5
BATCH_SIZES = (1, 3, 4)
SECONDS = (0.0, 0.31, 1.0, 1.73)  # of the requests; the first is the shortest that is allowed

Ask = Callable[[Sequence[np.ndarray]], list[np.ndarray]]


def check(folder: Path, trained: Trained, plan: Plan) -> None:
    """Loads an export and compares its answers with the run's, for every signature, several lengths and batch sizes.

    Raises UserError where they differ by more than `TOLERANCE` (times what post-processing stretches ratings by).
    """
    exported = saved_model.load(folder)
    requests = _waveforms(plan) if trained.frontend else _functionals(plan, trained.networks[0])
    answers_of_run = _answers_of_run(trained, plan)
    expected = [answers_of_run(request) for request in requests]
    tolerance = TOLERANCE * max([1.0, *_stretches(plan)])
    for name, ask in _ways(exported, trained).items():
        for size in BATCH_SIZES:
            for start in range(0, len(requests), size):
                answers = ask(requests[start : start + size])
                for request, answer, right in zip(requests[start:], answers, expected[start:], strict=False):
                    _compare(name, size, request, answer, right, tolerance)


def _ways(exported: saved_model.Exported, trained: Trained) -> dict[str, Ask]:
    if trained.frontend is None:
        return {"features": exported.on_features}
    extract = of_layer(trained.frontend).features
    ways: dict[str, Ask] = {
        "serving_default": exported.on_waveforms,
        "features": lambda clips: exported.on_features([extract(clip) for clip in clips]),
        "wav_bytes": lambda clips: exported.on_wav_bytes([_wav(clip, exported.rate_hz) for clip in clips]),
    }
    if "stream" in exported.description:
        ways["stream"] = lambda clips: [_streamed(exported, clip) for clip in clips]
    return ways


def _streamed(exported: saved_model.Exported, clip: np.ndarray) -> np.ndarray:
    """Ratings of a clip that comes in hop by hop, its level known."""
    stream = Stream(exported, level=(float(clip.mean(dtype=float)), float(clip.std(dtype=float))))
    rows = [*stream.push(clip), *stream.finish()]
    return np.array([[row[name] for name in exported.outputs] for row in rows])


def _waveforms(plan: Plan) -> list[np.ndarray]:
    """Noise of 16 bits, which a WAV file keeps exactly."""
    rng = np.random.default_rng(0)
    sizes = [max(plan.shortest, round(seconds * plan.rate_hz)) for seconds in SECONDS]
    if plan.segment_frames:  # one that takes several segments
        sizes.append((2 * plan.segment_frames + 3) * plan.steps_per_frame)
    sizes = [min(size, plan.longest) for size in sizes]
    return [(np.round(rng.normal(0, 3000, size)).clip(-32768, 32767) / 32768).astype(np.float32) for size in sizes]


def _functionals(plan: Plan, network: keras.Model) -> list[np.ndarray]:
    bands = next(item.shape[-1] for item in network.inputs if item.name == "features")
    rng = np.random.default_rng(0)
    sizes = (min(n_frames, plan.longest) for n_frames in (1, 7, 20, 33, 50))
    return [rng.normal(size=(n_frames, bands)).astype(np.float32) for n_frames in sizes]


def _answers_of_run(trained: Trained, plan: Plan) -> Callable[[np.ndarray], np.ndarray]:
    def share(model, request):
        names = ("waveform", "n_samples") if trained.frontend else ("features", "n_frames")
        batch = dict(zip(names, padded([request]), strict=True))
        return np.asarray(model.predict_on_batch(batch))[0]

    def shares(request):
        outputs = [share(model, request) for model in trained.models]
        return np.mean([with_temperature(output, plan.temperature) for output in outputs], axis=0)

    if not plan.steps_per_frame:
        return shares
    tracers = [tracer_of(network, trained.settings) for network in trained.networks]
    extract = of_layer(trained.frontend).features if trained.frontend else lambda features: features

    def ratings(request):
        features = extract(request)
        each = [trace(features) for trace in tracers]
        if plan.chains:
            each = [postprocess.apply(chain, one) for chain, one in zip(plan.chains, each, strict=True)]
        mean = np.mean(each, axis=0)
        return mean[np.clip(np.arange(len(mean)) - plan.delay_frames, 0, len(mean) - 1)]

    return ratings


def _stretches(plan: Plan) -> list[float]:
    steps = (step for chain in plan.chains for steps in chain.chains.values() for step in steps)
    return [abs(step.values["ratio"]) for step in steps if step.kept and step.name == "scaling"]


def _compare(name, size, request, answer, right, tolerance) -> None:
    same = answer.shape == right.shape and np.allclose(answer, right, rtol=TOLERANCE, atol=tolerance)
    if not same:
        found = f"{np.abs(answer - right).max():.2g}" if answer.shape == right.shape else f"shape {answer.shape}"
        raise UserError(
            f"the export answers otherwise than the run: signature {name}, {len(request)} samples or frames, batch of "
            f"{size}: expected {right.shape} within {tolerance:g}, found {found}. It was not written; this is a bug of "
            "the export, please report it"
        )


def _wav(clip: np.ndarray, rate_hz: int) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.round(clip * 32768).astype(np.int16), rate_hz, format="WAV", subtype="PCM_16")
    return file.getvalue()
