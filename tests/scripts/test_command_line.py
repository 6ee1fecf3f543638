"""The command line: from flags to a configuration, and exit codes for mistakes."""

import argparse
import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import keras
import pytest

from zoo import registry
from zoo.config import flags, run_config
from zoo.config import saved as config_saved
from zoo.config.flags import add_flags, from_flags
from zoo.config.groups import GROUPS
from zoo.config.run_config import RunConfig, heeds
from zoo.config.saved import differences, load
from zoo.config.validation import check_value
from zoo.errors import UserError
from zoo.registry import MODELS
from zoo.runs import command_line
from zoo.runs.dataset import resolve
from zoo.utils import backends, cli, extras
from zoo.utils.atomic_files import write_json
from zoo.utils.parser import Parser

FIELDS = {item.name: item for item in dataclasses.fields(RunConfig)}
FLAGS = {name: item for name, item in FIELDS.items() if item.metadata.get("flag", True)}
ROOT = Path(__file__).parents[2]


def parse(*words):
    """Parse flags as train.py does."""
    parser = Parser()
    add_flags(parser)
    return vars(parser.parse_args(words))


def refused(*words):
    with pytest.raises(UserError) as error:
        from_flags(parse(*words))
    return str(error.value)


@pytest.mark.parametrize("name", FLAGS)
def test_every_field_has_a_flag_of_its_type(name):
    item, flag = FIELDS[name], "--" + name.replace("_", "-")
    assert parse() == {}  # flags that are not given leave no trace
    if name in ("option", "column"):
        assert parse(flag, "a=1", flag, "b=2") == {name: ["a=1", "b=2"]}
    elif item.metadata.get("words"):
        assert parse(flag, "sad, angry") == {name: ("sad", "angry")}
    elif isinstance(item.default, bool):
        assert parse(flag) == {name: True}
    elif isinstance(item.default, tuple):
        assert parse(flag, "0.5", "2") == {name: [0.5, 2.0]}
    else:
        word = "some_word" if isinstance(item.default, str) else str(item.default * 2 + 1)
        (value,) = parse(flag, word).values()
        assert value == type(item.default)(word) != item.default and type(value) is type(item.default)


def test_several_numbers_are_a_tuple():
    found = from_flags(parse("--model", "mfcc_svr", "--complexities", "0.5"))
    assert found.complexities == (0.5,)
    assert from_flags(found.saved()) == from_flags(json.loads(json.dumps(found.saved()))) == found
    assert refused("--model", "mfcc_svr", "--complexities", "1", "1").startswith("--complexities is 1 1, expected diff")
    noisy = ("--perturb", "noise", "--noise", "DIR", "--augment-snr")
    assert from_flags(parse("--model", "conv_lstm", "--corpus", "recola", *noisy, "5", "5")).augment_snr == (5.0, 5.0)


def test_help_names_every_flag_in_its_group_with_its_default_and_choices():
    parser = Parser()
    add_flags(parser)
    groups = {group.title: group for group in parser._action_groups}
    for name, item in FLAGS.items():
        actions = {action.dest: action for action in groups[GROUPS[item.metadata["group"]]]._group_actions}
        assert item.metadata["help"] in actions[name].help
        assert all(choice in actions[name].help for choice in item.metadata.get("choices", ()))
        if isinstance(item.default, tuple) and item.default:
            assert f"(default: {' '.join(f'{value:g}' for value in item.default)}" in actions[name].help
        elif item.default not in ("", (), dataclasses.MISSING) and not isinstance(item.default, bool):
            assert f"(default: {item.default}" in actions[name].help
    text = " ".join(parser.format_help().split())
    assert "recipes differ" in text and "--snr-level" not in text
    assert "paper, tuned, quick, unseen_speakers, small_data, look_ahead" in text, "every preset of the registry"


def test_each_network_heeds_what_has_an_effect_on_it():
    recorded = json.loads((Path(__file__).parent / "heeded_settings.json").read_text())
    common = recorded.pop("every network").split()
    expected = {model: {*common, *names.split()} for models, names in recorded.items() for model in models.split()}
    assert {model: {name for name in FIELDS if heeds(model, name)} for model in MODELS} == expected


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--enhance", "matched"], "--enhance was moved to scripts/enhanced_ratings.py"),
        (["--heard", "noisy"], "--model mfcc_svr --noise DIR fits a regression in noise"),
        (["--condition=matched"], "--condition was moved to scripts/enhanced_ratings.py"),
        (["--snr", "0", "6", "--epochs", "3"], "--snr was moved to scripts/enhanced_ratings.py"),
        (["--snr-level", "all"], "--snr-level is for scripts/robustness.py only"),
        (["--noise-split", "time"], "give --noise time:DIR"),
    ],
)
def test_flags_of_earlier_versions_say_what_took_their_place(words, said):
    assert said in refused(*words)


def test_noise_in_thirds_of_time_is_part_of_its_flag():
    words = ("--model", "mfcc_svr", "--corpus", "recola", "--noise")
    whole, timed = from_flags(parse(*words, "~/n")), from_flags(parse(*words, "time:~/n"))
    assert (whole.noise_split, timed.noise_split) == ("files", "time")
    assert resolve(timed).noise == f"time:{Path('~/n').expanduser().resolve()}"
    assert differences(whole, timed) == ["noise_split was 'files', now 'time'"]
    assert "--noise time:NOISE" in " ".join(command_line.of(timed))


@pytest.mark.parametrize("words", ["--epochs ten", "--epoch-count 3", "--synthetic=1", "--augment-snr 5 6 7"])
def test_what_argparse_refuses_ends_with_2_and_names_the_flag(words, capsys):
    code, message = ended(lambda: parse(*words.split()), capsys)
    assert code == 2 and words.replace("=", " ").split()[0] in message and message.count("\n") == 1


def test_defaults_then_recipe_then_flags():
    paper, tuned = MODELS[RunConfig.model].recipes["paper"], MODELS[RunConfig.model].recipes["tuned"]
    assert RunConfig.augment == "none" != tuned["augment"] and tuned["batch_size"] != 7

    assert from_flags(parse("--synthetic")).recipe == "quick"
    plain = from_flags(parse())
    assert plain.recipe == "paper" and plain.batch_size == paper["batch_size"]
    preset = from_flags(parse("--recipe", "tuned"))
    assert {name: getattr(preset, name) for name in tuned} == tuned
    given = from_flags(parse("--recipe", "tuned", "--batch-size", "7"))
    assert given == dataclasses.replace(preset, batch_size=7)
    # A flag that repeats the default still replaces the recipe's value.
    assert from_flags(parse("--recipe", "tuned", "--augment", RunConfig.augment)).augment == "none"


def test_options_are_merged_over_those_of_the_recipe(monkeypatch):
    row = dataclasses.replace(MODELS["fcn"], recipes={"paper": {"option": {"dropout": 0.1, "kernel_size": 5}}})
    monkeypatch.setitem(MODELS, "fcn", row)
    merged = from_flags(parse("--model", "fcn", "--option", "dropout=0.5"))
    assert merged.option == {"dropout": 0.5, "kernel_size": 5}
    assert row.recipes["paper"]["option"] == {"dropout": 0.1, "kernel_size": 5}, "the table is not to be changed"


OPTIONS = {"7": 7, "0.5": 0.5, "-1e-3": -1e-3, "True": True, "false": False, "null": None, "None": None}
OPTIONS |= {"lstm": "lstm", "a=b": "a=b", "a,b": "a,b", "": "", "[1, 2]": [1, 2], "64,0.5": [64, 0.5]}


@pytest.mark.parametrize(("text", "value"), OPTIONS.items())
def test_option_values(text, value):
    parsed = from_flags(parse("--option", f"name={text}")).option["name"]
    assert parsed == value and type(parsed) is type(value)


@pytest.mark.parametrize("value", ["lstm", "a,b", "64,32", "true,false", "True", "7", "", 7, 0.5, None, [64, 32]])
def test_options_written_as_words_of_a_command_line_are_read_again(value):
    assert from_flags(parse(*command_line.words({"option": {"name": value}}))).option == {"name": value}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--on-bad-clip", "ignore"], "unknown --on-bad-clip 'ignore'. Known: fail, skip"),
        (["--epochs", "0"], "--epochs is 0, expected a finite number, at least 1"),
        (["--learning-rate", "nan"], "--learning-rate is nan, expected a finite number"),
        (["--max-clip-seconds", "inf"], "--max-clip-seconds is inf, expected a finite number, at least 0.0"),
        (["--seed", str(2**32)], f"--seed is {2**32}, expected 0 to {2**32 - 1}"),
        (["--window-ms", "60000"], "--window-ms is 60000.0, expected 1.0 to 1000.0"),
        (["--option", "dropout"], "--option dropout: expected NAME=VALUE, e.g. --option dropout=0.5"),
        (["--option", "=0.5"], "--option =0.5: expected NAME=VALUE"),
        (["--synthetic", "--data-root", "DIR"], "--synthetic and --data-root DIR exclude each other; give one"),
        (["--augment-snr", "6", "5.5"], "--augment-snr is 6 5.5, expected two numbers, the lower one first"),
        (["--clips", "100"], "--clips is the size of a synthetic twin; expected --synthetic with it"),
    ],
)
def test_values_out_of_range_are_refused(words, message):
    assert refused(*words).startswith(message)


def test_limits_themselves_are_allowed():
    limited = {item: item.metadata["least"] for item in FIELDS.values() if "least" in item.metadata}
    for item, least in limited.items():
        several = (least, least) if item.metadata.get("pair") else (least,)
        check_value(item, several if isinstance(item.default, tuple) else least)


@pytest.fixture
def saved(tmp_path):
    given = {"recipe": "tuned", "fold": "0,2", "synthetic": True, "option": {"recurrent": None, "dropout": 0.1}}
    path = tmp_path / "mine" / "config.json"
    write_json(path, from_flags(given).saved())
    return path


def test_round_trip(saved):
    settings = load(saved)
    assert settings == from_flags(settings.saved()) and settings.fold == "0,2" and settings.synthetic
    assert {"recurrent": None, "dropout": 0.1}.items() <= settings.option.items()
    assert list(json.loads(saved.read_text())) == list(FIELDS)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "Expecting value"),
        (b"\xff\xfe\x00", "codec can't decode"),
        (b'{"model": "fcn", ', "Expecting property name"),
        (b"[]", "mapping"),
        (b"{}", "without model, recipe, corpus"),
    ],
)
def test_a_damaged_configuration_is_refused(saved, content, found):
    saved.write_bytes(content)
    with pytest.raises(UserError) as error:
        load(saved)
    message = str(error.value)
    assert message.startswith(f"{saved}: expected the configuration of a run") and found in message
    assert message.endswith("Restore the file, or train again into another folder")


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda record: record.update(colour="red"), "colour"),
        (lambda record: record.pop("seed"), "without seed"),
        (lambda record: record.update(backend="theano"), "unknown --backend 'theano'"),
        (lambda record: record.update(epochs="many"), "--epochs is 'many', expected a whole number"),
        (lambda record: record.update(batch_size=0), "--batch-size is 0"),
        (lambda record: record.update(augment_snr=3), "--augment-snr is 3, expected numbers"),
        (lambda record: record.update(model="atention_fcn"), "Did you mean 'attention_fcn'? Known: alexnet_svm, "),
    ],
)
def test_other_versions_and_edited_values_are_refused(saved, change, found):
    record = json.loads(saved.read_text())
    change(record)
    write_json(saved, record)
    with pytest.raises(UserError, match=f"{saved}: expected the configuration") as error:
        load(saved)
    assert found in str(error.value)


OLD = {"heard": "clean", "enhance": "none", "condition": "mixed", "noise_split": "files", "snr_level": "active"}


@pytest.mark.parametrize(
    ("old", "noise", "snr"),
    [
        ({"enhance": "mixed"}, "", RunConfig.snr),
        ({"heard": "noisy"}, "/n", (3.0,)),
        ({"heard": "noisy", "noise_split": "time"}, "time:/n", (3.0,)),
        ({"model": "denoising_autoencoder", "condition": "matched"}, "/n", (3.0,)),
    ],
)
def test_configurations_of_when_the_study_of_noise_had_fields_are_read(tmp_path, old, noise, snr):
    given = {"corpus": "recola", "noise": "/n", "snr": (3.0,), "model": old.get("model", "mfcc_svr")}
    write_json(tmp_path / "config.json", {**from_flags(given).saved(), **OLD, **old})
    found = load(tmp_path / "config.json")
    assert (found.noise, found.snr) == (noise, snr)
    assert flags.resume({"out": str(tmp_path)}) == dataclasses.replace(found, out=str(tmp_path))
    write_json(tmp_path / "config.json", {**from_flags(given).saved(), **OLD, **old, "snr_level": "all"})
    with pytest.raises(UserError, match="snr_level all, which training no longer has"):
        load(tmp_path / "config.json")


def test_every_configuration_on_record_is_read():
    paths = [path for path in (ROOT / "docs" / "runs").rglob("config.json") if "heard" in json.loads(path.read_text())]
    assert len(paths) > 10
    for path in paths:
        load(path)


def picky(n_outputs, n_inputs, *, size=1, name=None):
    """A builder for which some sizes are bad values."""
    if n_inputs < 8 or size > 2:
        raise ValueError(f"{size} and {n_inputs} do not fit")
    return keras.Sequential(name=name)


def test_only_bad_values_are_a_users_mistake_when_a_network_is_built(monkeypatch):
    for name, options in (("picky", {}), ("broken", {"size": 3})):  # the second cannot be built as registered
        row = dataclasses.replace(MODELS["fcn"], builder=f"{__name__}:picky", options=options)
        monkeypatch.setitem(MODELS, name, row)
    with pytest.raises(ValueError, match="3 and 40 do not fit"):
        registry.build("broken", 4, 40)
    assert registry.build("picky", 4, 40, size=2).name == "picky"
    for n_inputs, options in ((40, {"size": 3}), (4, {})):
        with pytest.raises(UserError, match=r"picky cannot be built with .*: \d and \d+ do not fit"):
            registry.build("picky", 4, n_inputs, **options)


def test_no_run_there(tmp_path):
    (tmp_path / "clip.wav").write_bytes(b"RIFF")
    (tmp_path / "odd" / "config.json").mkdir(parents=True)
    for folder in ("absent", "clip.wav", "odd"):
        with pytest.raises(UserError, match=r"no run is here .*; give a folder that train.py made") as error:
            load(tmp_path / folder / "config.json")
        assert str(error.value).startswith(f"{tmp_path / folder}: ")


def test_differences_leave_places_out():
    old = from_flags({})
    for name in FIELDS:
        found = differences(old, dataclasses.replace(old, **{name: "another"}))
        is_place = name in config_saved.PLACES
        assert found == ([] if is_place else [f"{name} was {getattr(old, name)!r}, now 'another'"])


def test_cache_folder_is_the_flags_then_the_variables_then_below_home(monkeypatch, tmp_path):
    monkeypatch.setenv(run_config.CACHE_VARIABLE, "/from/variable")
    assert config_saved.cache_folder(from_flags({"cache_dir": "/given"})).as_posix() == "/given"
    assert config_saved.cache_folder(from_flags({})).as_posix() == "/from/variable"
    monkeypatch.delenv(run_config.CACHE_VARIABLE)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert config_saved.cache_folder(from_flags({})) == tmp_path / ".cache" / "speech-zoo"


def ended(main, capsys):
    """Exit code and standard error of a script whose `main` is this."""
    with pytest.raises(SystemExit) as end:
        cli.run(main)
    return end.value.code, capsys.readouterr().err


def test_exit_codes(capsys):
    assert ended(lambda: None, capsys) == (0, "")
    assert ended(lambda: 1, capsys) == (1, "")
    assert ended(Mock(side_effect=UserError("clip.wav: cut")), capsys) == (2, "error: clip.wav: cut\n")
    code, message = ended(Mock(side_effect=KeyboardInterrupt), capsys)
    assert code == 130 and message.count("\n") == 1
    with pytest.raises(ZeroDivisionError):  # a bug keeps its traceback
        cli.run(Mock(side_effect=ZeroDivisionError))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("size", [1, 100_000])
def test_a_closed_output_ends_the_script_silently(size):
    reader, writer = os.pipe()
    os.close(reader)
    words = [sys.executable, "-c", f"from zoo.utils.cli import run; run(lambda: print({size} * 'x'))"]
    buffered = {**os.environ, "PYTHONUNBUFFERED": ""}
    found = subprocess.run(words, stdout=writer, stderr=subprocess.PIPE, text=True, env=buffered)
    os.close(writer)
    assert (found.returncode, found.stderr) == (cli.OUTPUT_CLOSED, "")


def test_backend_is_chosen_before_keras_and_cannot_change_after(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    monkeypatch.setattr(extras, "find_spec", lambda wanted: object())
    backends.use_backend("jax")
    assert os.environ["KERAS_BACKEND"] == "jax"

    keras = argparse.Namespace(backend=argparse.Namespace(backend=lambda: "jax"))
    monkeypatch.setitem(sys.modules, "keras", keras)
    backends.use_backend("jax")
    with pytest.raises(UserError, match="keras already runs on 'jax' here; start a new process for 'torch'"):
        backends.use_backend("torch")
