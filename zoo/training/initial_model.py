"""Read the weights that a training begins with, of a run, an export or a Keras file, and where they are from."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from zoo import registry
from zoo.config.run_config import RunConfig, heeds
from zoo.config.validation import as_flag
from zoo.data.corpora import names
from zoo.data.corpora import registry as corpora
from zoo.errors import UserError, unknown
from zoo.features import from_config
from zoo.runs import keras_archive, pretraining_file
from zoo.runs.folder import STAND_IN, fold_name
from zoo.runs.model_file import bare, frontend, head_of, load_model, network_of, own_settings
from zoo.runs.open_run import open_run
from zoo.serving import saved_model
from zoo.serving.versions import version_folder
from zoo.training import seen_before
from zoo.utils.lazy import lazy

if TYPE_CHECKING:
    import keras
else:
    keras = lazy("keras")

_OPENSMILE = ("feature_set", "functionals", "functional_seconds", "frame_seconds")
VARIABLES = "variables/variables.data-00000-of-00001"  # of a SavedModel


@dataclass(frozen=True)
class Initial:
    """Weights to begin with: arrays by the layer's name.

    `outputs` are the names of classes or rated dimensions, empty where the file does not say. `moments` are mean and
    variance of the standardisation in front of the network, None where they are not stored. `frontend` holds the
    settings of its features, empty where unknown. `about` is what records and model cards say of it. `settings` is the
    configuration of a run, `file` the one that holds the weights.
    """

    layers: Mapping[str, list[np.ndarray]]
    outputs: tuple[str, ...]
    moments: tuple[np.ndarray, np.ndarray] | None
    frontend: Mapping[str, Any]
    about: Mapping[str, Any]
    file: Path
    settings: RunConfig | None = None


def read(config: RunConfig, fold: str, network: keras.Model | None = None) -> Initial:
    """Read the weights of `config.init_from` for a fold.

    `network`, without standardisation, is needed for the layers of a .weights.h5, which names none of them. Raises
    UserError for what is neither a run, an export nor a file of weights, for one of other features, and where the fold
    to take is not clear.
    """
    place = Path(config.init_from)
    if place.name == "model.keras" and (place.parents[1] / "config.json").is_file():
        found = _of_run(place.parents[1], config, fold_name(place.parent).split("-")[0])
    elif record := pretraining_file.load(place if place.is_dir() else place.parent):
        found = _of_pretraining(place, record, network)
    elif (place / "config.json").is_file():
        found = _of_run(place, config, fold)
    elif version := version_folder(place):
        found = _of_export(version, config, fold)
    elif place.is_file() and place.suffix in (".keras", ".h5"):
        found = _of_file(place, network)
    else:
        what = "a file" if place.is_file() else "a folder without them" if place.is_dir() else "nothing"
        raise UserError(
            f"--init-from {place}: expected a finished run, an export or a file .keras or .weights.h5, found {what}. "
            "Give the folder that train.py or export.py wrote"
        )
    _check_features(config, found)
    return found


def weights_of(network: keras.Model) -> dict[str, list[np.ndarray]]:
    """Return the arrays of each layer with weights, by its name."""
    return {layer.name: layer.get_weights() for layer in network.layers if layer.weights}


def _of_run(run: Path, config: RunConfig, fold: str) -> Initial:
    opened = open_run(run)
    if opened.entry.fitted == "linear":
        raise UserError(
            f"--init-from {run}: expected a network, found {opened.settings.model}, a linear model, whose weights fit "
            "no other. Give a run of a network"
        )
    folders = {fold_name(folder): folder for folder in opened.fold_folders}
    folder = folders[_chosen(list(folders), config, fold)]
    model = load_model(folder / "model.keras", opened.entry.takes_waveforms)
    settings = opened.settings
    features = own_settings(frontend(model)) if opened.entry.takes_waveforms else _opensmile(settings)
    digest = sha256((folder / "model.keras").read_bytes()).hexdigest()
    about = about_model("run", run.name, digest, opened.real_corpus, opened.record["synthetic"])
    about |= {"model": settings.model, "protocol": opened.record["protocol"], "fold": fold_name(folder)}
    about |= {"before": seen_before.ancestors(opened.record)}
    weights, moments = _content(model)
    return Initial(weights, opened.outputs, moments, features, about, folder / "model.keras", settings)


def _of_export(version: Path, config: RunConfig, fold: str) -> Initial:
    exported = saved_model.load(version)
    description = exported.description
    networks = by_layer(exported.module.weights)
    folds = description.get("folds") or [str(number) for number in range(len(networks))]
    chosen = _chosen(folds, config, fold)
    features = {name: value for name, value in description["frontend"].items() if name != "kind"}
    if description["frontend"]["kind"] != "functionals":
        ours = from_config.frontend(config)
        if ours is None or type(ours).__name__ != description["frontend"]["kind"]:
            kind = description["frontend"]["kind"]
            raise UserError(
                f"--init-from {version}: its front-end is {kind}, and {config.model} has another. Give one of the "
                "same network"
            )
        if "weights_sha256" in features:  # of an encoder, which must be the same and may lie elsewhere
            features["weights"] = config.weights
        features = own_settings(type(ours)(**features))  # with defaults for what earlier versions did not have
    digest = description["files"][VARIABLES]
    corpus = description["trained_on"].removeprefix("synthetic ")
    about = about_model("export", version.parent.name, digest, corpus, bool(description.get("synthetic")))
    about |= {"model": description["model"], "protocol": description.get("protocol", ""), "fold": chosen}
    about |= {"before": seen_before.ancestors(description)}
    return Initial(networks[folds.index(chosen)], tuple(exported.outputs), None, features, about, version / VARIABLES)


def _of_pretraining(place: Path, record: Mapping[str, Any], network: keras.Model | None) -> Initial:
    """Return the weights of a pre-training; its speakers and recordings are what an earlier model has seen."""
    found = _of_file(place / "model.keras" if place.is_dir() else place, network)
    about = about_model("pretraining", found.file.parent.name, found.about["sha256"], "", record["synthetic"])
    licences = dict.fromkeys(one["licence"] for one in record["corpora"].values())
    about |= {"corpus": "+".join(record["corpora"]), "licence": "; ".join(licences), "model": record["model"]}
    about |= {"protocol": "", "fold": ""}
    about |= {"before": [{"seen_speakers": record["speakers"], "audio_sha256": record["audio_sha256"]}]}
    return replace(found, about=about)


def by_layer(variables: Iterable[Any]) -> list[dict[str, list[np.ndarray]]]:
    """Return the arrays of an export's variables, which are named LAYER/..., by layer for each of its networks."""
    networks: list[dict[str, list[np.ndarray]]] = []
    known: set[str] = set()
    for variable in variables:
        name = variable.name.partition(":")[0]
        if name in known or not networks:  # the same layers again are those of the next fold
            networks.append({})
            known = set()
        known.add(name)
        if "seed_generator" not in name:
            networks[-1].setdefault(name.partition("/")[0], []).append(variable.numpy())
    return networks


def _of_file(path: Path, network: keras.Model | None) -> Initial:
    digest = sha256(path.read_bytes()).hexdigest()
    about = {**about_model("file", path.name, digest, "", False), "model": "", "protocol": "", "fold": ""}
    if path.suffix == ".keras":
        model = load_model(path, waveforms=False)
        has_frontend = any(hasattr(layer, "rate_hz") for layer in model.layers)
        weights, moments = _content(model)
        return Initial(weights, (), moments, own_settings(frontend(model)) if has_frontend else {}, about, path)
    return Initial(_of_hdf5(path, network) if network else {}, (), None, {}, about, path)


def _of_hdf5(path: Path, network: keras.Model) -> dict[str, list[np.ndarray]]:
    """Return the weights of a .weights.h5 by the layers of `network`, whose head may have another size."""
    try:
        keras_archive.check_weights(BytesIO(path.read_bytes()))
        with h5py.File(path, "r") as file, tempfile.TemporaryDirectory() as aside:
            group: Any = file
            while inner := [name for name in group["layers"] if name.startswith("functional")]:
                group = group["layers"][inner[0]]  # behind a front-end or a standardisation
            copy = _with_head_of(network, group)
            alone = Path(aside) / "network.weights.h5"
            with h5py.File(alone, "w") as target:
                for name in group:
                    group.copy(name, target)
            copy.load_weights(alone)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"--init-from {path}: expected the weights of {network.name} by Keras's save_weights, found others "
            f"({reason:.300}). Give a file of the same network and options, or a run"
        ) from error
    return weights_of(copy)


def _with_head_of(network: keras.Model, group: Any) -> keras.Model:
    """Return a copy of a network with as many outputs as stored weights have. Keras numbers layers by their class."""
    head = head_of(network)
    numbers: dict[str, int] = {}
    for layer in network.layers:
        name = re.sub(r"(.)([A-Z][a-z]+)|([a-z])([A-Z])", r"\1\3_\2\4", type(layer).__name__).lower()
        number = numbers[name] = numbers.get(name, -1) + 1
        if layer is head:
            break
    stored = group["layers"][f"{name}_{number}" if number else name]["vars"]
    config = network.get_config()
    for item in config["layers"]:
        if item["name"] == head.name and "units" in item["config"]:
            item["config"]["units"] = int(stored[max(stored)].shape[-1])
    return type(network).from_config(config)


def _content(model: keras.Model) -> tuple[dict[str, list[np.ndarray]], tuple[np.ndarray, np.ndarray] | None]:
    """Return the weights of a model's network, and mean and variance of its standardisation, if it has one."""
    network = network_of(model)
    found = [layer for layer in network.layers if isinstance(layer, keras.layers.Normalization)]
    moments = None
    if found:
        settings = found[0].get_config()
        moments = np.asarray(settings["mean"], np.float64), np.asarray(settings["variance"], np.float64)
    return weights_of(bare(network)), moments


def _chosen(names: Sequence[str], config: RunConfig, fold: str) -> str:
    """Return the fold to take: that of --init-fold, of the same number, or the only one."""
    by_number = {name.split("-")[0]: name for name in names}
    if config.init_fold:
        if config.init_fold not in by_number:
            raise unknown("--init-fold", config.init_fold, by_number)
        return by_number[config.init_fold]
    number = fold.split("-")[0]
    if number not in by_number and len(names) > 1:
        raise UserError(
            f"--init-from {config.init_from} has the folds {', '.join(by_number)} and none of the number {number}. Say "
            "which one to take by --init-fold"
        )
    return by_number.get(number, names[0])


def about_model(kind: str, name: str, digest: str, corpus: str, synthetic: bool) -> dict[str, Any]:
    """Return what records say of a model: run, export or file, its name, weights, corpus and the licence of that."""
    licences = [_licence(part) for part in corpus.split("+")] if corpus else []
    if synthetic:
        licences = ["none, a synthetic twin"]
    return {
        "kind": kind,
        "name": name,
        "sha256": digest,
        "corpus": f"{'synthetic ' * synthetic}{corpus}",
        "licence": "; ".join(dict.fromkeys(licences)) or "unknown",
    }


def _licence(corpus: str) -> str:
    """Return the licence of a corpus by its name in records; of a stand-in that of what it was made from."""
    name = corpus.rpartition(" ")[2].lower() if corpus.startswith(STAND_IN) else corpus
    return corpora.get(name).licence if name in corpora.CORPORA or names.is_table(name) else "unknown"


def _opensmile(config: RunConfig) -> dict[str, Any]:
    return {name: getattr(config, name) for name in _OPENSMILE if heeds(config.model, name)}


def _check_features(config: RunConfig, initial: Initial) -> None:
    """Raise UserError where the initial weights were trained on other features; the message has the flags to give."""
    if not initial.frontend:
        return
    ours = from_config.frontend(config)
    own = own_settings(ours) if ours and registry.get(config.model).takes_waveforms else _opensmile(config)
    differ = [name for name in initial.frontend if own.get(name) != initial.frontend[name]]
    if not differ:
        return
    found = ", ".join(f"{name} {initial.frontend[name]}, here {own.get(name, 'none')}" for name in differ)
    flags = {item.name for item in fields(config)}
    given = " ".join(f"{as_flag(name)} {initial.frontend[name]}" for name in differ if name in flags)
    advice = f"Give {given}" if given else "Give a model of the same front-end"
    raise UserError(f"--init-from {config.init_from}: its features are others than those here: {found}. {advice}")
