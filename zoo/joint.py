"""Deep-spectrum features: the joint vector in front of the head of a finished run's network.

Zhao et al. 2019, section IV, Table 7: the 384 values of attention_blstm_fcn, then a linear SVM.
"""

from pathlib import Path

import keras

from zoo import config
from zoo.config import RunConfig
from zoo.errors import UserError
from zoo.folder import fold_name, read_record
from zoo.predict import frontend as frontend_of
from zoo.predict import load_model
from zoo.trace_prediction import network_of

LAYER = "joint"


def check(settings: RunConfig) -> None:
    """Raises UserError unless the run of `settings.from_run` is finished and has no part in the folds of `settings`
    that a baseline must not see.
    """
    if not settings.from_run:
        raise UserError(f"--model {settings.model} needs --from-run DIR, a finished run of attention_blstm_fcn")
    run = Path(settings.from_run)
    theirs, record = config.load(run / "config.json"), read_record(run)
    if theirs.corpus != settings.corpus or bool(record["synthetic"]) != settings.synthetic:
        return  # none of its clips is in these folds
    if theirs.protocol != settings.protocol:
        raise UserError(
            f"--from-run {run} was trained under {theirs.protocol}, this is {settings.protocol}: clips it was trained "
            f"on would be tested. Expected the same protocol; add --protocol {theirs.protocol}, or give another run"
        )


def frontend(settings: RunConfig) -> keras.layers.Layer:
    """Returns the front-end of the run's models."""
    return frontend_of(load_model(_folders(settings)[0] / "model.keras"))


def body(settings: RunConfig, fold: str) -> keras.Model:
    """Returns a fold's network up to its joint vector: from features to (batch, width).

    On the run's own corpus it is that of the fold of the same name, which was trained on the same clips; a run of
    another corpus must have one fold.

    Raises UserError when there is no such fold, or the network has no joint vector.
    """
    folders = {fold_name(folder): folder for folder in _folders(settings)}
    same = config.load(Path(settings.from_run) / "config.json").corpus == settings.corpus
    if not same and len(folders) > 1:
        raise UserError(
            f"--from-run {settings.from_run} has folds {', '.join(folders)}, and on another corpus one network is "
            "wanted. Give a run of one fold"
        )
    if same and fold not in folders:
        raise UserError(
            f"--from-run {settings.from_run} has folds {', '.join(folders)}, expected {fold}, whose training clips it "
            "may have seen. Give --fold as the run had it"
        )
    model = network_of(load_model((folders[fold] if same else next(iter(folders.values()))) / "model.keras"))
    network = next((layer for layer in model.layers if isinstance(layer, keras.Model)), None)
    if network is None or not any(layer.name == LAYER for layer in network.layers):
        names = ", ".join(layer.name for layer in (network or model).layers)
        raise UserError(
            f"--from-run {settings.from_run}: expected a network with a layer {LAYER!r}, found the layers {names}. "
            "Give a run of attention_blstm_fcn or one of its ablations"
        )
    inputs = {item.name: keras.Input(item.shape[1:], dtype=item.dtype, name=item.name) for item in model.inputs}
    normalized = model.get_layer("normalization")(inputs["features"])
    vector = keras.Model(network.inputs, network.get_layer(LAYER).output, name=f"{network.name}_joint")
    found = keras.Model(inputs, vector({**inputs, "features": normalized}), name=f"{network.name}_body")
    found.trainable = False
    return found


def _folders(settings: RunConfig) -> list[Path]:
    folders = sorted(Path(settings.from_run).glob("fold-*"))
    if not folders:
        raise UserError(f"--from-run {settings.from_run}: no fold of a run is in it; train it to the end first")
    return folders
