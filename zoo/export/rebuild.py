"""Make an export anew from an export: its networks and weights, in a graph as this version builds it."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from zoo.errors import UserError
from zoo.export import export, model_card, onnx_copy, signatures
from zoo.export.agreement import TOLERANCE, plan_of
from zoo.export.requests import answer, clips_of, requests_of
from zoo.frontends.log_mel import LogMel
from zoo.frontends.mfcc import Mfcc
from zoo.frontends.waveform import StandardWaveform
from zoo.serving import saved_model
from zoo.serving.saved_model import Exported
from zoo.serving.versions import new_version
from zoo.version import __version__

FRONTENDS = {layer.__name__: layer for layer in (LogMel, Mfcc, StandardWaveform)}  # those without weights


def rebuild(place: Path, out: Path, version: int | None = None, with_onnx: bool = False) -> Path:
    """Write an export with today's checks of requests and today's reader of WAV files; return its folder, `out`/N.

    The card beside `place` goes with it. `with_onnx` as in `export.export`.

    `place` is an export whose signatures take waveforms. Features of a waveform are computed by this version's
    front-end, by the settings in the description; what follows them is the old graph's signature "features".

    Raises UserError for what is no export, has another front-end, or would answer otherwise than before.
    """
    old = saved_model.load(place)
    kind = old.description["frontend"]["kind"]
    if kind not in FRONTENDS:
        raise UserError(f"{place}: expected a front-end of {', '.join(FRONTENDS)}, found {kind}; export its run again")
    settings = {name: value for name, value in old.description["frontend"].items() if name != "kind"}
    frontend = FRONTENDS[kind](**settings)
    with new_version(out, version) as (aside, final):
        module, functions = _build(old, frontend)
        described = export.save(module, functions, aside)
        kept = {name: value for name, value in old.description.items() if name not in ("onnx", "without_onnx")}
        content: dict[str, Any] = {**kept, "zoo_version": __version__, "signatures": described}
        export.complete(aside, content, old.outputs, out.name)
        new = saved_model.load(aside)
        _compare(old, new)
        if with_onnx:
            onnx_copy.add(new)
    model_card.carry_over(old.folder, final)
    return final


def _build(old: Exported, frontend: keras.layers.Layer) -> tuple[tf.Module, dict[str, Any]]:
    of_features = old.module.signatures["features"]

    def answer_features(features, n_frames):
        return of_features(features=features, n_frames=n_frames)

    module = tf.Module()
    module.weights = old.module.weights  # not the whole of it, which would keep the old signatures too
    functions = signatures.of_requests(answer_features, of_features, frontend, plan_of(old.description))
    if "targets" in old.description:
        every = old.module.signatures["all_targets_features"]

        def answer_all(features, n_frames):
            return every(features=features, n_frames=n_frames)

        functions |= signatures.of_all_targets(answer_all, every, frontend, plan_of(old.description))
    if "stream" in old.description["signatures"]:
        functions["stream"] = old.module.signatures["stream"]
    return module, functions


def _compare(old: Exported, new: Exported) -> None:
    """Raise UserError unless both answer alike, on every signature."""
    for name, inputs in requests_of(old, clips_of(old.description)):
        before, after = answer(old.module.signatures, name, inputs), answer(new.module.signatures, name, inputs)
        for key, expected in before.items():
            if not np.allclose(after[key], expected, rtol=TOLERANCE, atol=TOLERANCE):
                raise UserError(
                    f"{old.folder}: made anew, {key} of the signature {name} differs by "
                    f"{np.abs(after[key].astype(float) - expected).max():.2g}. It was not written; this is a bug, "
                    "please report it"
                )
