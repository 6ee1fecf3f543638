"""Networks that are not in the registry: from a file, and of other packages; corpora of other packages."""

import json
import sys
from pathlib import Path

import pytest

from zoo import own_network, registry
from zoo.config import saved
from zoo.config.flags import from_flags
from zoo.data import elsewhere
from zoo.data.corpora import registry as corpora
from zoo.data.protocols import lookup
from zoo.data.synthetic.corpora import synthesize
from zoo.errors import UserError
from zoo.training.elsewhere import check

ROOT = Path(__file__).parents[2]
SHORT = ("--corpus", "emodb", "--allow-incomplete", "--fold", "0", "--epochs", "1", "--bands", "8")


def template():
    """The first block of docs/add-a-network.md."""
    return (ROOT / "docs" / "add-a-network.md").read_text().split("```python\n")[1].split("```")[0]


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recordings")
    synthesize("emodb", folder / "emodb", 70, seed=0, seconds=(0.3, 0.4))
    return folder / "emodb"


@pytest.fixture
def write(tmp_path):
    def write(text):
        (tmp_path / "mine.py").write_text(text)
        return tmp_path / "mine.py"

    return write


def test_messages_show_the_template_of_the_guide():
    assert template().rstrip() == own_network.TEMPLATE


def test_the_template_trains_and_its_run_needs_no_file(script, recordings, write, tmp_path):
    path, run = write(template()), tmp_path / "run"
    named = own_network.find(f"{path}:build")
    words = ("--data-root", recordings, *SHORT, "--out", run, "--option", "filters=4")
    code, _, errors = script("train.py", "--model", "mine.py:build", *words)
    assert code == 0, errors
    assert (run / "network.py").read_text() == template()
    record = json.loads((run / "metrics.json").read_text())
    assert record["model"] == named.name == f"mine.py:build@{named.sha256[:12]}"
    assert record["network_sha256"] == named.sha256

    path.unlink()
    registry._elsewhere.clear()  # as in a new process
    code, out, errors = script("evaluate.py", run, "--json")
    assert code == 0 and json.loads(out)["changed"] == [], errors
    clip = next(recordings.rglob("*.wav"))
    code, out, errors = script("predict.py", run, clip, "--json")
    assert code == 0 and set(json.loads(out)["probabilities"]) == set(record["classes"]), errors
    assert script("train.py", "--resume", "--out", run)[0] == 0  # by the copy in the run
    write(template())
    assert script("train.py", "--resume", *words, "--model", "mine.py:build")[0] == 0
    write(template() + "# changed\n")
    code, _, errors = script("train.py", "--resume", *words, "--model", "mine.py:build")
    assert code == 2 and f"model was '{named.name}', now 'mine.py:build@" in errors
    (run / "network.py").write_text("import os\n")
    code, _, errors = script("evaluate.py", run)
    assert code == 2 and "network.py: its SHA-256 begins with" in errors and "it was changed" in errors


@pytest.mark.slow
def test_a_run_of_a_file_is_exported(script, recordings, write, tmp_path):
    write(template())
    words = ("--data-root", recordings, *SHORT, "--out", tmp_path / "run", "--option", "filters=4")
    assert script("train.py", "--model", "mine.py:build", *words)[0] == 0
    code, _, errors = script("export.py", tmp_path / "run", "--out", tmp_path / "export", "--forms", "keras")
    assert code == 0, errors
    card = (tmp_path / "export" / "model_card.md").read_text()
    assert "--model mine.py:build@" in card and str(tmp_path) not in card


def test_reading_what_a_file_states_does_not_run_it(write):
    path = write("raise SystemExit('run')\n" + template())
    config = from_flags({"model": f"{path}:build"})
    assert registry.get(config.model).frontend == "log_mel" and config.network_file == str(path)
    assert from_flags(config.saved()) == config


def test_settings_of_a_file_are_its_recipe(write):
    text = template().replace('"emotion"}', '"emotion", "settings": {"bands": 12, "epochs": 7}}')
    config = from_flags({"model": f"{write(text)}:build"})
    assert (config.bands, config.epochs, config.recipe) == (12, 7, "own")
    assert from_flags({"model": f"{write(text)}:build", "epochs": 9}).epochs == 9
    with pytest.raises(UserError, match=r"unknown setting of mine.py:build@.* 'bnads'\. Did you mean 'bands'"):
        from_flags({"model": f"{write(text.replace('bands', 'bnads'))}:build"})


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("seed=0, name=None", "name=None", "expected def build(n_outputs, n_inputs, *, seed=0, name=None), found (n_"),
        ("n_inputs, *,", "*,", "found (n_outputs, *, filters, dropout, seed, name)"),
        ("def build", "def other", "found no such function"),
        (
            "Model(inputs,",
            "Model({'sound': inputs['features'], **inputs},",
            "features and n_frames, found features",
        ),
        ("return keras.Model", "keras.Model", "expected that it returns a keras.Model, found NoneType"),
        ("Dense(n_outputs", "Dense(9", "expected an output of (batch, 4), found (None, 9)"),
        ("ENTRY", "ENTYR", 'expected ENTRY = {"frontend": ..., "task": ...} with plain values, found no ENTRY'),
        ('{"frontend": "log_mel"', 'dict() or {"frontend": "log_mel"', "with plain values, found dict() or {"),
        ('"task": "emotion"', '"tsak": "emotion"', "found {'frontend': 'log_mel', 'tsak': 'emotion'}"),
        ('"log_mel"', '"waveform"', "front-end 'waveform' with task 'emotion', expected log_mel with emotion"),
        ("def build(", "def build((", "expected Python, found "),
    ],
)
def test_a_file_that_does_not_fit_gets_a_sentence(write, old, new, said):
    assert old in template()
    with pytest.raises(UserError) as error:
        registry.build(from_flags({"model": f"{write(template().replace(old, new))}:build"}).model, 4, 8)
    assert said in error.value.message and "\n" not in error.value.message
    assert own_network.ADVICE in str(error.value) or "Correct it" in str(error.value)


def test_a_layer_of_ones_own_is_refused_before_anything_is_read(script, recordings, write):
    own = "\n\nclass Mine(layers.Layer):\n    def call(self, frames):\n        return frames\n"
    write(template().replace("(frames)", "(Mine()(frames))") + own)
    code, _, errors = script("train.py", "--model", "mine.py:build", "--data-root", recordings, *SHORT, "--out", "run")
    assert code == 2 and "error: " in errors and "a foreign class" in errors and "zoo.layers" in errors
    assert not Path("run").exists()


def test_a_network_whose_answer_depends_on_padding_is_refused(write):
    text = template().replace(
        "WeightedSum()(hidden, AttentionMap()(hidden, mask))", "layers.GlobalAveragePooling1D()(hidden)"
    )
    config = from_flags({"model": f"{write(text)}:build", "bands": 8})
    with pytest.raises(
        UserError, match=r"mine.py:build: its answer to a clip changes by 0\.\d+ with padding behind it"
    ):
        check(config, lookup.get(None, "emodb"))
    check(from_flags({"model": f"{write(template())}:build", "bands": 8}), lookup.get(None, "emodb"))


def test_an_absent_file_and_a_search_are_refused(script, write):
    code, _, errors = script("train.py", "--model", "absent.py:build", "--synthetic")
    assert code == 2 and "--model absent.py:build: expected a Python file, found none at" in errors
    write(template())
    code, _, errors = script("tune.py", "--model", "mine.py:build", "--corpus", "ravdess", "--synthetic")
    assert code == 2 and "a search takes networks of the zoo and of installed packages" in errors


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An installed package with a network and a corpus."""
    (tmp_path / "others.dist-info").mkdir()
    (tmp_path / "others.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: others\nVersion: 1\n")
    (tmp_path / "others.dist-info" / "entry_points.txt").write_text(
        f"[{registry.NETWORKS_GROUP}]\nnet_of_others = others_networks:NET\nunfit = others_networks:build\n"
        f"[{elsewhere.GROUP}]\nothers_corpus = others_corpus\nbad_corpus = others_networks\n"
    )
    row = 'NET = registry.network("others_networks:build", frontend="log_mel", task="emotion", title="theirs")\n'
    (tmp_path / "others_networks.py").write_text(f"from zoo import registry\n{template()}\n{row}")
    (tmp_path / "others_corpus.py").write_text(
        "from dataclasses import replace\n"
        "from zoo.data.corpora.registry import CORPORA\nfrom zoo.data.protocols.lookup import PROTOCOLS as OURS\n"
        "CORPUS = replace(CORPORA['emodb'], title='others')\n"
        "PROTOCOLS = (replace(OURS['emodb-speakers'], name='others-speakers', corpus='others_corpus'),)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield
    registry._elsewhere.pop("net_of_others", None)
    for name in ("others_networks", "others_corpus"):
        sys.modules.pop(name, None)


def test_networks_and_corpora_of_packages_are_known_by_name(package, script, recordings):
    assert registry.get("net_of_others").title == "theirs" and registry.is_known("net_of_others")
    assert registry.build("net_of_others", 4, 8, filters=3).output_shape == (None, 4)
    with pytest.raises(UserError, match=r"unfit = others_networks:build: expected zoo\.registry\.network"):
        registry.get("unfit")
    with pytest.raises(UserError, match=r"unknown model 'net_of_other'\. Did you mean 'net_of_others'"):
        registry.get("net_of_other")
    assert corpora.get("others_corpus").title == "others"
    assert lookup.get(None, "others_corpus").name == "others-speakers"
    with pytest.raises(UserError, match="bad_corpus = others_networks: expected a module with CORPUS and PROTOCOLS"):
        corpora.get("bad_corpus")
    code, out, errors = script("check_corpus.py", "--corpus", "others_corpus", "--data-root", recordings, "--json")
    assert code == 1 and list(json.loads(out)["protocols"]) == ["others-speakers"], errors


def test_old_configurations_have_no_file(tmp_path):
    config = from_flags({})
    content = config.saved()
    del content["network_file"]
    (tmp_path / "config.json").write_text(json.dumps(content))
    assert saved.load(tmp_path / "config.json") == config
