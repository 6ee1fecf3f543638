"""Every network's search space fits its builder, and users' changes to it are checked."""

import inspect
import json
from importlib import import_module

import pytest

from tuning import space as spaces
from zoo import registry
from zoo.config.flags import from_flags
from zoo.config.run_config import RunConfig
from zoo.errors import UserError

MODEL = "attention_blstm_fcn"
NETWORKS = {name: entry for name, entry in registry.MODELS.items() if entry.fitted == "gradient"}
BUILDERS = {entry.builder: name for name, entry in reversed(NETWORKS.items())}  # the first row of each


@pytest.mark.parametrize("model", NETWORKS)
def test_space_has_only_names_the_network_uses_and_contains_its_own_values(model):
    space = spaces.of(model)
    spaces.check(model, space)
    module, function = registry.get(model).builder.split(":")
    keywords = inspect.signature(getattr(import_module(module), function)).parameters
    preset = {"option": {}, **next(iter(registry.get(model).recipes.values()))}
    for name, value in space.items():
        if name.startswith("option."):
            keyword = keywords[name.removeprefix("option.")]
            assert keyword.name not in registry.get(model).options
            own = preset["option"].get(keyword.name, keyword.default)
        else:
            own = preset.get(name, getattr(RunConfig, name))
        own = json.loads(json.dumps(own))  # tuples are lists there
        if isinstance(value, list):
            assert own in value or own == pytest.approx(min(value, key=lambda choice: abs(choice - own)), 1e-3), name
        else:
            assert value["low"] <= own <= value["high"], name
    assert {"learning_rate", "optimizer", "batch_size"} <= set(space)


@pytest.mark.parametrize("model", BUILDERS.values())
def test_every_choice_builds_or_is_refused(model):
    refused = []
    for name, value in spaces.of(model).items():
        for choice in [value["low"], value["high"]] if isinstance(value, dict) else value:
            option = from_flags(spaces.flags({"model": model}, {name: choice})).option
            if name.startswith("option."):
                try:
                    assert registry.build(model, *registry.get(model).shape, **option).count_params() > 0
                except UserError as error:  # pooled away, say
                    assert str(option[name.removeprefix("option.")]) in str(error)
                    refused.append(name)
    assert len(refused) <= 1


def test_space_of_zhao_2019_has_the_values_the_paper_tried():
    space = spaces.of(MODEL)
    assert (space["bands"], space["option.recurrent_layers"]) == ([30, 40, 60, 80, 100], [1, 2, 3])
    assert (min(space["window_ms"]), max(space["window_ms"])) == (15.0, 200.0)


@pytest.mark.parametrize(
    ("full", "model", "absent"),
    [
        (MODEL, "fcn", {"option.attention_scale", "option.recurrent_layers", "option.recurrent_units"}),
        (MODEL, "attention_blstm_fcn_1layer", {"option.recurrent_layers"}),
        ("lstm_drnn", "blstm_drnn", {"option.bidirectional", "option.recurrent_units"}),
    ],
)
def test_space_leaves_out_what_an_entry_fixes_or_makes_meaningless(full, model, absent):
    assert set(spaces.of(full)) - set(spaces.of(model)) == absent


def test_vary_and_file_change_the_space(tmp_path):
    own = {"bands": [40], "learning_rate": [0.1]}
    texts = ["learning_rate=1e-4..1e-2:log", "batch_size=16,32", "optimizer=adam,sgd", "option.fcn=True,False"]
    texts += ["option.recurrent=None,lstm", "option.filters=[8,16],[16,32]", "option.hidden_units=8..64"]
    assert spaces.merge(own, texts) == {
        "bands": [40],
        "learning_rate": {"low": 1e-4, "high": 1e-2, "sampling": "log"},
        "batch_size": [16, 32],
        "optimizer": ["adam", "sgd"],
        "option.fcn": [True, False],
        "option.recurrent": [None, "lstm"],
        "option.filters": [[8, 16], [16, 32]],
        "option.hidden_units": {"low": 8, "high": 64},
    }
    file = tmp_path / "space.json"
    file.write_text('{"batch_size": [1, 2]}')
    assert spaces.merge(own, ["bands=30"], file) == {"batch_size": [1, 2], "bands": [30]}
    for content in ("{", "[1]"):
        file.write_text(content)
        with pytest.raises(UserError, match=r"space\.json: expected"):
            spaces.merge(own, (), file)


@pytest.mark.parametrize("text", ["bands", "bands=", "=4", "bands=1..x"])
def test_unreadable_vary_is_refused(text):
    with pytest.raises(UserError, match=f"--vary {text}"):
        spaces.merge({}, [text])


BAD_RANGES = [
    ("bands", {"low": 3}),
    ("bands", {"low": 9, "high": 9}),
    ("bands", {"low": 1, "high": 9, "step": 0.5}),
    ("bands", {"low": 1, "high": 9, "stop": 1}),
    ("learning_rate", {"low": 0.1, "high": float("inf")}),
    ("learning_rate", {"low": 0.0, "high": 1.0, "sampling": "log"}),
    ("learning_rate", {"low": 0.1, "high": 1.0, "sampling": "log", "step": 1}),
    ("learning_rate", {"low": 0.1, "high": 1.0, "sampling": "lin"}),
]


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({}, "empty space"),
        ({"learning_rat": [0.1]}, "Did you mean 'learning_rate'"),
        ({"option.unit": [1]}, "unknown hyper-parameter of attention_blstm_fcn 'option.unit'"),
        ({"bands": []}, "bands is [], expected a list of choices"),
        ({"bands": [40, 40]}, "bands is [40, 40], expected each choice once"),
        ({"bands": 40}, "bands is 40, expected a list"),
        *(({name: wanted}, f"{name} is {wanted}, expected numbers low < high;") for name, wanted in BAD_RANGES),
        ({"learning_rate": {"low": -0.1, "high": 1.0}}, "learning_rate cannot be -0.1"),
        ({"learning_rate": ["fast"]}, "learning_rate is 'fast', expected float"),
        ({"batch_size": [True]}, "batch_size is True, expected int"),
        ({"optimizer": ["adam", "adan"]}, "optimizer cannot be 'adan': unknown --optimizer"),
    ],
)
def test_check_names_what_is_wrong(space, message):
    with pytest.raises(UserError) as caught:
        spaces.check(MODEL, space)
    assert message in str(caught.value)


def test_check_accepts_values_that_need_another_value():
    spaces.check(MODEL, {"optimizer": ["adam", "sgd"], "momentum": [0.0, 0.9], "decay": [0.0, 1e-3], "floor": [1]})


def test_trial_values_override_the_flags():
    base = {"model": MODEL, "epochs": 3, "option": {"dropout": 0.1, "fcn": True}}
    values = {"learning_rate": 0.01, "option.dropout": 0.5, "option.hidden_units": 8}
    flags = spaces.flags(base, values)
    assert flags == {**base, "learning_rate": 0.01, "option": {"dropout": 0.5, "fcn": True, "hidden_units": 8}}
    assert base["option"] == {"dropout": 0.1, "fcn": True}
    rest = spaces.without({**values, "bands": [1]}, {"bands": 40, "option": {"dropout": 0.0}})
    assert rest == {"learning_rate": 0.01, "option.hidden_units": 8}


def test_choices_of_any_kind_survive_keras_tuner():
    space = {
        "a": [None, True, 1, 2.5, "x", [1, 2]],
        "b": {"low": 1, "high": 9, "step": 4},
        "c": {"low": 1e-4, "high": 1.0, "sampling": "log"},
    }
    tuned = spaces.hyperparameters(space)
    found = [spaces.decode(space, {**tuned.values, "a": text})["a"] for text in tuned.space[0].values]
    assert found == space["a"]
    assert [type(value) for value in found] == [type(value) for value in space["a"]]
    assert {tuned.space[1].random_sample(seed) for seed in range(99)} == {1, 5, 9}
    assert tuned.space[2].prob_to_value(0.5) == pytest.approx(1e-2)
    values = {"a": None, "b": 5, "c": 0.1}
    assert spaces.decode(space, spaces.encode(space, values)) == values


def test_linear_models_are_refused():
    with pytest.raises(UserError, match="egemaps_svm is no network to search"):
        spaces.of("egemaps_svm")


# Section IV-B of Zhao et al. 2019: the 15 hyper-parameters it optimised, by our names, with what it states of its
# trials or else its own value.
FIFTEEN = {
    "window size": ("window_ms", (15.0, 200.0)),
    "convolutional kernel size": ("option.kernel_size", ()),
    "pooling size": ("option.pool_size", ()),
    "stride on convolutional layer": ("option.stride", (1,)),
    "initial number of filters": ("option.filters", (8, 256)),
    "initial number of neurons": ("option.recurrent_units", (64, 128)),
    "learning rate": ("learning_rate", (1e-3,)),
    "number of convolutional layers": ("option.filters", (2, 3, 4, 5)),
    "number of pooling layers": ("option.pooling_layers", ()),
    "number of fully connected layers": ("option.dense_layers", ()),
    "type of activation function": ("option.activation", ("relu",)),
    "optimization algorithm": ("optimizer", ("adam",)),
    "dropout on convolutional layers": ("option.block_dropout", ()),
    "dropout on fully connected layers": ("option.dropout", ()),
    "frequency resolution of the spectrogram": ("bands", (30, 40, 60, 80, 100)),
}


@pytest.mark.parametrize("parameter", FIFTEEN)
def test_all_fifteen_hyperparameters_of_zhao_2019_are_searched(parameter):
    (name, tried), space = FIFTEEN[parameter], spaces.of(MODEL)
    assert len(FIFTEEN) == 15
    wanted = space[name]
    if isinstance(wanted, dict):
        assert all(wanted["low"] <= value <= wanted["high"] for value in tried)
    elif parameter == "number of convolutional layers":
        assert {len(filters) for filters in wanted} == set(tried)
    elif parameter == "initial number of filters":
        assert (min(map(min, wanted)), max(map(max, wanted))) == tried and [64, 128, 128] in wanted
    else:
        assert len(wanted) > 1 and set(tried) <= set(wanted)
