"""Compare an export, as written, with the run it was made of."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.confidence.fit import Fit
from zoo.confidence.temperature import with_temperature
from zoo.data.audio.scan import file_sha256
from zoo.data.batches.by_length import padded
from zoo.errors import UserError
from zoo.export import trained_run
from zoo.export.requests import SECONDS, clips_of, wav
from zoo.export.signatures import Plan
from zoo.export.trained_run import Trained
from zoo.features.extractor import of_layer
from zoo.inference import embedding, postprocess
from zoo.inference.continuous import tracer_of
from zoo.inference.stream import Stream
from zoo.serving.description import EMBEDDING, WITH_CONFIDENCE, confidence_of, heads_of, outputs_of
from zoo.serving.saved_model import Exported

TOLERANCE = 1e-5
BATCH_SIZES = (1, 3, 4)

Predict = Callable[[Sequence[np.ndarray]], list[np.ndarray]]


def check(exported: Exported, trained: Trained) -> None:
    """Compare an export's answers with the run's, for every signature, several lengths and batch sizes.

    Raises UserError where they differ by more than `TOLERANCE` (times what post-processing stretches ratings by).
    """
    plan = plan_of(exported.description)
    clips = clips_of(exported.description, SECONDS)
    predict = predictions_of_run(trained, plan)
    expected = [predict(clip) for clip in clips]
    steps = [step for chain in plan.chains for steps in chain.chains.values() for step in steps]
    stretches = [abs(step.values["ratio"]) for step in steps if step.kept and step.name == "scaling"]
    tolerance = TOLERANCE * max([1.0, *stretches])
    for name, signature in _signatures(exported, trained).items():
        for size in BATCH_SIZES:
            for start in range(0, len(clips), size):
                answers = signature(clips[start : start + size])
                for clip, found, right in zip(clips[start:], answers, expected[start:], strict=False):
                    if plan.heads and not name.startswith("all_targets"):
                        right = right[: len(plan.outputs)]
                    _compare(f"signature {name}, batch of {size}", clip, found, right, tolerance)
    if EMBEDDING in exported.description["signatures"]:
        _check_embedding(exported, trained, plan, clips)
    if plan.confidence:
        main = [right[: len(plan.outputs)] for right in expected]
        _check_confidence(exported, plan.confidence, clips, main)


def compare(exported: Exported, run: Path) -> str:
    """Check an export against the folder of its run; returns what was compared, in words.

    Raises UserError as `check` does, or where the export was not made of this run.
    """
    for name, checksum in exported.description["run_files"].items():
        if not (run / name).is_file() or file_sha256(run / name) != checksum:
            raise UserError(
                f"{run / name}: expected the file that {exported.folder} was made of, found another or none; name "
                "its run"
            )
    folds = exported.description["folds"]
    one_of_several = len(folds) == 1 < len(list(run.glob("fold-*")))
    check(exported, trained_run.load(run, folds[0].split("-")[0] if one_of_several else None))
    sizes = ", ".join(map(str, BATCH_SIZES))
    return f"every signature, batches of {sizes}; difference at most {TOLERANCE:g}"


def plan_of(description: Mapping[str, Any]) -> Plan:
    """Return the plan that an export's graph was made by."""
    names = ("shortest", "longest", "rate_hz", "temperature", "steps_per_frame", "segment_frames", "delay_frames")
    return Plan(
        tuple(outputs_of(description)),
        confidence=confidence_of(description),
        chains=tuple(map(postprocess.from_content, description.get("postprocess", []))),
        heads=heads_of(description),
        weights_dtype=description.get("weights", {}).get("dtype", "float32"),
        **{name: description[name] for name in names if name in description},
    )


def _signatures(exported: Exported, trained: Trained) -> dict[str, Predict]:
    if trained.frontend is None:
        return {"features": exported.on_features}
    extract = of_layer(trained.frontend).features
    found: dict[str, Predict] = {
        "serving_default": exported.on_waveforms,
        "features": lambda clips: exported.on_features([extract(clip) for clip in clips]),
        "wav_bytes": lambda clips: exported.on_wav_bytes([wav(clip, exported.rate_hz) for clip in clips]),
    }
    if "targets" in exported.description:
        found["all_targets"] = lambda clips: exported.on_waveforms(clips, "all_targets")
        found["all_targets_features"] = lambda clips: exported.on_features(
            [extract(clip) for clip in clips], "all_targets_features"
        )
    if "stream" in exported.description:
        found["stream"] = lambda clips: [_streamed(exported, clip) for clip in clips]
    return found


def _check_confidence(exported: Exported, fit: Fit, clips: list[np.ndarray], expected: list[np.ndarray]) -> None:
    """Compare the signature with confidence with the fit on the run's own probabilities."""
    answers = exported.with_confidence(clips)
    confidence = fit.confidence(np.stack(expected))
    for name, right in (("probabilities", np.stack(expected)), ("confidence", confidence)):
        for clip, one, other in zip(clips, answers[name], right, strict=True):
            _compare(f"{name} of the signature {WITH_CONFIDENCE}", clip, one, other, TOLERANCE)
    is_clear = np.abs(confidence - fit.threshold) > TOLERANCE
    abstained = answers["abstained"][is_clear].astype(float)
    _compare("abstained", clips[0], abstained, (confidence < fit.threshold)[is_clear].astype(float), 0)


def _check_embedding(exported: Exported, trained: Trained, plan: Plan, clips: list[np.ndarray]) -> None:
    """Compare the signature "embedding", on all clips together, with what the run's last layers take."""
    features = [of_layer(trained.frontend).features(clip) for clip in clips] if trained.frontend else clips
    expected = embedding.embedder(trained.networks, max(1, plan.steps_per_frame))(features)
    for clip, found, right in zip(clips, exported.embed(*padded(clips)), expected, strict=True):
        _compare(f"signature {EMBEDDING}", clip, found, right, TOLERANCE * max(1.0, float(np.abs(right).max())))


def _streamed(exported: Exported, clip: np.ndarray) -> np.ndarray:
    """Return the ratings of a clip that comes in hop by hop, its level known."""
    stream = Stream(exported, level=(float(clip.mean(dtype=float)), float(clip.std(dtype=float))))
    rows = [*stream.push(clip), *stream.finish()]
    return np.array([[row[name] for name in exported.outputs] for row in rows])


def predictions_of_run(trained: Trained, plan: Plan) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function from a waveform, or features, to what an export of the run answers, but for confidence."""
    names = ("waveform", "n_samples") if trained.frontend else ("features", "n_frames")

    def probabilities(clip):
        batch = dict(zip(names, padded([clip]), strict=True))
        outputs = [np.asarray(model.predict_on_batch(batch))[0] for model in trained.models]
        size = len(plan.outputs)
        main = [with_temperature(output[:size], plan.temperature) for output in outputs]
        return np.concatenate([np.mean(main, axis=0), np.mean([output[size:] for output in outputs], axis=0)])

    if not plan.steps_per_frame:
        return probabilities
    tracers = [tracer_of(network, trained.opened.settings) for network in trained.networks]
    extract = of_layer(trained.frontend).features if trained.frontend else lambda features: features

    def ratings(clip):
        features = extract(clip)
        each = [trace(features) for trace in tracers]
        if plan.chains:
            each = [postprocess.apply(chain, one) for chain, one in zip(plan.chains, each, strict=True)]
        mean = np.mean(each, axis=0)
        return mean[np.clip(np.arange(len(mean)) - plan.delay_frames, 0, len(mean) - 1)]

    return ratings


def _compare(what: str, clip: np.ndarray, found: np.ndarray, right: np.ndarray, tolerance: float) -> None:
    if found.shape == right.shape and np.allclose(found, right, rtol=TOLERANCE, atol=tolerance):
        return
    difference = f"{np.abs(found - right).max():.2g}" if found.shape == right.shape else f"shape {found.shape}"
    raise UserError(
        f"the export answers otherwise than the run: {what}, {len(clip)} samples or frames: expected {right.shape} "
        f"within {tolerance:g}, found {difference}. It was not written; this is a bug, please report it"
    )
