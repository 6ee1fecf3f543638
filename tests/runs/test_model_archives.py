"""A saved model builds no more than its file holds, whatever its configuration says."""

import json
import resource
import zipfile

import keras
import pytest
import tiny_runs

from zoo.errors import UserError
from zoo.runs import keras_archive
from zoo.runs.model_file import load_model


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """The saved model of a small network."""
    return tiny_runs.make(tmp_path_factory.mktemp("runs") / "run", "fcn", "iemocap") / "fold-0-x" / "model.keras"


@pytest.fixture
def loaded(archive, tmp_path):
    """A function that loads the model with its configuration changed: "" or the message that refuses it."""

    def load(change):
        with zipfile.ZipFile(archive) as old:
            contents = {name: old.read(name) for name in old.namelist()}
        content = json.loads(contents["config.json"])
        changed = change(content)
        contents["config.json"] = json.dumps(content if changed is None else changed).encode()
        with zipfile.ZipFile(tmp_path / "model.keras", "w", zipfile.ZIP_DEFLATED) as new:
            for name, data in contents.items():
                new.writestr(name, data)
        try:
            load_model(tmp_path / "model.keras")
        except UserError as error:
            return str(error)
        return ""

    return load


def layers_of(content, kind):
    """The configurations of all layers of a class, at any depth."""
    waiting, found = [content], []
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            found += [item["config"]] if item.get("class_name") == kind else []
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item
    return found


def dense(**values):
    return lambda content: layers_of(content, "Dense")[-1].update(values)


def convolutions(**values):
    def change(content):
        for config in layers_of(content, "Conv2D"):
            config.update(values)

    return change


def as_class(name, module="keras.layers", **config):
    def change(content):
        waiting = [content]
        while waiting:
            item = waiting.pop()
            if isinstance(item, dict):
                if item.get("class_name") == "Dropout":
                    item |= {"class_name": name, "module": module, "config": {"name": item["config"]["name"], **config}}
                waiting += item.values()
            elif isinstance(item, list):
                waiting += item

    return change


def nested(depth):
    def change(content):
        for _ in range(depth):
            content = {"class_name": "Sequential", "module": "keras", "config": {"name": "s", "layers": [content]}}
        return content

    return change


def test_the_model_as_saved_is_loaded(loaded):
    assert loaded(lambda content: None) == ""


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (dense(units=10_000_000), "units 10000000, more than 262144"),
        (dense(units=-10_000_000), "units -10000000, more than"),
        (dense(units=200_000), r"a network of \d+ weights, of which the file holds \d+|incompatible"),
        (convolutions(filters=200_000), r"a network of \d+ weights|incompatible"),
        (convolutions(kernel_size=[999, 99_999]), r"a network of \d+ weights|incompatible"),
        (as_class("RepeatVector", n=100_000), "RepeatVector"),
        (as_class("UpSampling1D", size=100_000), "UpSampling1D"),
        (as_class("ZeroPadding1D", padding=100_000), "ZeroPadding1D"),
        (as_class("ZeroPadding2D", padding=[[0, 10**5], [0, 0]]), "padding 100000, more than 64"),
        (as_class("Embedding", input_dim=10**5, output_dim=10**5), "Embedding"),
        (as_class("Conv1DTranspose", filters=1, kernel_size=1, strides=10**5), "Conv1DTranspose"),
        (as_class("Rescaling", scale=[1.0] * 1000), "Rescaling"),
        (as_class("Tile", "keras.src.ops.numpy", repeats=[1, 10**5, 1]), "an operation that no network.*Tile"),
        (nested(20), "expected a model"),
        (nested(200), "nested deeper than 100 levels"),
        (lambda content: [content], "a list, not a mapping"),
    ],
)
def test_configurations_that_would_build_more_are_refused_before_it_is_built(loaded, change, found):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(AssertionError, match=found):
        message = loaded(change)
        assert not message, message
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # kB


def test_every_value_of_another_type_is_an_error_or_of_no_matter(loaded, archive):
    """No traceback, whatever Keras makes of it."""
    with zipfile.ZipFile(archive) as file:
        content = json.loads(file.read("config.json"))
    for name in {"name", "units", "activation", "kernel_initializer", "dtype"} & set(layers_of(content, "Dense")[-1]):
        for value in (-1, "text", {"a": 1}):
            loaded(lambda content: layers_of(content, "Dense")[-1].update({name: value}))  # noqa: B023


def test_a_consistent_configuration_of_more_weights_is_counted_and_refused(tmp_path):
    """10,000 million weights, which would take 40 GB."""
    path, inputs = tmp_path / "small.keras", keras.Input((8,))
    keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Dense(2)(inputs))).save(path)
    with zipfile.ZipFile(path) as old:
        contents = {name: old.read(name) for name in old.namelist()}
    content = json.loads(contents["config.json"])
    for layer in content["config"]["layers"]:
        layer.pop("build_config", None)
        if layer["class_name"] == "Dense":
            layer["config"]["units"] = 100_000
    contents["config.json"] = json.dumps(content).encode()
    with zipfile.ZipFile(tmp_path / "large.keras", "w") as new:
        for name, data in contents.items():
            new.writestr(name, data)
    assert load_model(path, waveforms=False).count_params() == 27
    with pytest.raises(UserError, match=r"a network of 10001000000 weights, of which the file holds 27"):
        load_model(tmp_path / "large.keras", waveforms=False)


def test_the_layers_that_are_allowed_are_keras_s():
    assert all(hasattr(keras.layers, name) for name in keras_archive._LAYERS)
