"""Make an export anew from an export: its networks and weights, in a graph as this version builds it."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from zoo.errors import UserError
from zoo.export import conversion, export, keras_copy, model_card, onnx_copy, recovered, signatures
from zoo.export.agreement import TOLERANCE, plan_of
from zoo.export.requests import answer, clips_of, requests_of
from zoo.frontends.compose import with_frontend
from zoo.frontends.log_mel import LogMel
from zoo.frontends.mfcc import Mfcc
from zoo.frontends.waveform import StandardWaveform
from zoo.serving import saved_model
from zoo.serving.description import EMBEDDING
from zoo.serving.saved_model import Exported
from zoo.serving.versions import new_version
from zoo.version import __version__

_MADE_ANEW = ("onnx", "without_onnx", "keras", "without_keras")  # of a description
FRONTENDS = {layer.__name__: layer for layer in (LogMel, Mfcc, StandardWaveform)}  # those without weights


class OtherAnswersError(UserError):
    """An export that answers otherwise once it is made anew."""


def rebuild(
    place: Path,
    out: Path,
    version: int | None = None,
    with_onnx: bool = False,
    with_keras: bool = False,
    large_forms: bool = False,
) -> Path:
    """Write an export with today's checks of requests and today's reader of WAV files; return its folder, `out`/N.

    The card beside `place` goes with it. `with_onnx`, `with_keras` and `large_forms` as in `export.export`.

    `place` is an export whose signatures take waveforms. Features of a waveform are computed by this version's
    front-end, by the settings in the description. What follows them are its Keras networks, made again where it holds
    none (zoo.export.recovered); where they cannot be, it is the old graph's signature "features", without embeddings.

    Raises UserError for what is no export, has another front-end, or would answer otherwise than before.
    """
    old = saved_model.load(place)
    kind = old.description["frontend"]["kind"]
    if kind not in FRONTENDS:
        raise UserError(f"{place}: expected a front-end of {', '.join(FRONTENDS)}, found {kind}; export its run again")
    settings = {name: value for name, value in old.description["frontend"].items() if name != "kind"}
    frontend = FRONTENDS[kind](**settings)
    networks, why = _networks(old)
    forms: dict[str, Any] = {"with_onnx": with_onnx, "with_keras": with_keras, "large": large_forms}
    if networks:
        try:
            return _write(old, frontend, networks, out, version, **forms)
        except OtherAnswersError as error:
            why = f"its networks, made again, answer otherwise: {error.message}"
    return _write(old, frontend, {}, out, version, why, **forms)


def _write(
    old: Exported,
    frontend: keras.layers.Layer,
    networks: Mapping[str, keras.Model],
    out: Path,
    version: int | None,
    why: str = "",
    *,
    with_onnx: bool,
    with_keras: bool,
    large: bool,
) -> Path:
    """Write the export by its Keras networks, or by its old graph, and then `why`."""
    with new_version(out, version) as (aside, final), TemporaryDirectory(prefix="export-") as beside:
        made = signatures.build(frontend, list(networks.values()), plan_of(old.description)) if networks else None
        module, functions = made or _build(old, frontend)
        described = export.save(module, functions, aside)
        kept = {name: value for name, value in old.description.items() if name not in _MADE_ANEW}
        content: dict[str, Any] = {**kept, "zoo_version": __version__, "signatures": described}
        export.complete(aside, {**content, **({"without_keras": why} if why else {})}, old.outputs, out.name)
        if with_keras and networks:
            keras_copy.add(aside, _saved(frontend, networks, Path(beside)), type(frontend).__name__, large)
        new = saved_model.load(aside)
        _compare(old, new)
        if with_onnx:
            source = conversion.without_transforms(frontend, list(networks.values()), new, Path(beside))
            onnx_copy.add(new, source, large)
    model_card.carry_over(old.folder, final)
    return final


def _networks(old: Exported) -> tuple[dict[str, keras.Model], str]:
    """Return the Keras networks of an export by fold, or none and the reason."""
    try:
        return recovered.networks_of(old), ""
    except UserError as error:  # a network of elsewhere, too
        return {}, f"it could not be made again from the export: {error.message}"


def _saved(frontend: keras.layers.Layer, networks: Mapping[str, keras.Model], folder: Path) -> dict[str, Path]:
    """Save networks behind their front-end, as train.py does; return the files by fold."""
    files = {fold: folder / f"{number}.keras" for number, fold in enumerate(networks)}
    for fold, network in networks.items():
        with_frontend(frontend, network).save(files[fold])
    return files


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
    """Raise UserError unless both answer alike, on every signature; embeddings may be lost with the networks."""
    for name, inputs in requests_of(old, clips_of(old.description)):
        if name == EMBEDDING and name not in new.description["signatures"]:
            continue
        before, after = answer(old.module.signatures, name, inputs), answer(new.module.signatures, name, inputs)
        for key, expected in before.items():
            if not np.allclose(after[key], expected, rtol=TOLERANCE, atol=TOLERANCE):
                raise OtherAnswersError(
                    f"{old.folder}: made anew, {key} of the signature {name} differs by "
                    f"{np.abs(after[key].astype(float) - expected).max():.2g}. It was not written; this is a bug, "
                    "please report it"
                )
