"""Run folders as train.py writes them, of small untrained networks."""

import keras
import numpy as np

from zoo import registry
from zoo.config import flags as config
from zoo.data.protocols import lookup as protocols
from zoo.features import from_config
from zoo.frontends.compose import with_frontend, with_normalization
from zoo.frontends.opensmile import FEATURE_SETS
from zoo.heads import heads_of
from zoo.inference import postprocess
from zoo.inference.postprocess import PostProcess, Step
from zoo.models.heads import with_heads
from zoo.runs.dataset import resolve
from zoo.utils.atomic_files import write_csv, write_json
from zoo.version import __version__

SMALL = {
    "fcn": {"bands": 12},
    "conv_lstm": {"option": ["filters=[4,6,8]", "recurrent_units=6"]},
    "conv_bigru": {"option": ["filters=[4,4,8]", "kernel_sizes=[4,8,8]", "recurrent_units=4"], "segment_seconds": 0.8},
    "lstm_drnn": {"option": ["recurrent_units=6"]},
}


def make(folder, model, corpus, n_folds=1, names=(), **flags):
    """Writes a run of `n_folds` folds, or of those named; returns its folder."""
    settings = resolve(
        config.from_flags({"model": model, "corpus": corpus, "synthetic": True, **SMALL[model], **flags})
    )
    protocol = protocols.get(settings.protocol, settings.corpus)
    names = names or [f"{number}-x" for number in range(n_folds)]
    for seed, name in enumerate(names):
        keras.utils.set_random_seed(seed)
        network(settings, protocol, seed).save(made(folder / f"fold-{name}") / "model.keras")
        if protocol.targets:
            chain = PostProcess(0.04, {target: steps(seed) for target in protocol.targets})
            postprocess.save(chain, folder / f"fold-{name}" / "postprocess.json")
        write_json(folder / f"fold-{name}" / "metrics.json", record(settings, protocol, fold=name))
        if protocol.classes:
            write_csv(folder / f"fold-{name}" / "predictions.csv", rows(protocol.classes))
    write_json(folder / "config.json", settings.saved())
    write_json(folder / "metrics.json", record(settings, protocol, folds=[{"fold": name} for name in names]))
    return folder


def network(settings, protocol, seed):
    n_outputs = len(protocol.classes or protocol.targets)
    frontend = from_config.frontend(settings)
    rng = np.random.default_rng(seed)
    if registry.get(settings.model).frontend == "waveform":
        built = registry.build(settings.model, n_outputs, 1, **settings.option)
    else:
        n_inputs = settings.bands if frontend else FEATURE_SETS[settings.feature_set]
        if registry.get(settings.model).frontend == "encoder":
            n_inputs = frontend.config.hidden
        built = registry.build(settings.model, n_outputs, n_inputs, **settings.option)
        if settings.also:
            numbers = {name: (30.0, 8.0) for name, classes in settings.heads.items() if not classes}
            built = with_heads(built, heads_of(settings, protocol.classes), numbers)
        built = with_normalization(rng.normal(size=n_inputs), rng.uniform(1, 3, n_inputs), built)
    for weights in built.trainable_variables:  # initial weights give nearly one output for all
        weights.assign(weights + rng.normal(0, 0.05, weights.shape))
    return with_frontend(frontend, built) if frontend else built


def steps(seed):
    """All four steps, in different sizes for different folds."""
    values = (
        ("median", {"frames": 5 + 2 * seed}),
        ("centring", {"prediction_mean": 0.1, "truth_mean": -0.2}),
        ("scaling", {"ratio": 1.7, "about": 0.05 * seed}),
        ("shift", {"frames": 2 + seed}),
    )
    return tuple(Step(name, arguments, True, 0.1, 0.2) for name, arguments in values)


def record(settings, protocol, **more):
    value = {"value": 0.5, "low": 0.4, "high": 0.6}
    if protocol.classes:
        figures = {"ua": value, "wa": value, "macro_f1": 0.5}
        if settings.also:
            figures["targets"] = {name: target(classes) for name, classes in settings.heads.items()}
    else:
        figures = {"ccc": 0.3, "dimensions": {name: {"ccc": value} for name in protocol.targets}, "postprocessed": {}}
    facts = {"model": settings.model, "corpus": settings.corpus, "protocol": f"{protocol.name} v1", "synthetic": True}
    versions = {"speech-emotion-zoo": __version__, "keras": keras.__version__}
    return {**facts, "recipe": settings.recipe, "bad_clips": [], "versions": versions, **figures, **more}


def target(classes):
    value = {"value": 0.5, "low": None, "high": None}
    figures = {"ua": value, "kind": "classes"} if classes else {"ccc": value, "mae": 2.5, "range": [20.0, 40.0]}
    return {"unlabelled": 3, "n_clips": 9, **figures}


def rows(classes):
    shares = np.full(len(classes), 0.3 / (len(classes) - 1))
    shares[0] = 0.7
    return [{"truth": name, **{f"p_{key}": p for key, p in zip(classes, shares, strict=True)}} for name in classes]


def made(folder):
    folder.mkdir(parents=True, exist_ok=True)
    return folder
