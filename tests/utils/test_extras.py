"""Optional packages: every extra is known by its modules, and one error names what to install."""

import configparser
import re
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from zoo.distributed import flags
from zoo.errors import UserError
from zoo.utils import extras

ROOT = Path(__file__).parents[2]


def test_every_extra_is_listed_with_the_modules_that_it_brings():
    found = configparser.ConfigParser()
    found.read(ROOT / "setup.cfg")
    lines = found["options.extras_require"]
    of_this_project = {"dev", "docs"}  # what its tests, and its documentation, are made with
    assert set(extras.EXTRAS) == set(lines) - of_this_project
    distributions = packages_distributions()
    for extra, modules in extras.EXTRAS.items():
        named = {re.split(r"[\s\[<>=!]", line)[0].lower() for line in lines[extra].strip().splitlines()}
        for module in modules:
            if module in distributions:  # others are not installed here
                assert {name.lower() for name in distributions[module]} & named, (extra, module)


def test_nothing_is_said_of_what_is_there_and_all_of_what_is_absent(monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name in ("tf2onnx", "opensmile") else object())
    extras.need("jax", "the backend jax")
    with pytest.raises(UserError) as error:
        extras.need("onnx", "--format onnx", "choose another format")
    assert str(error.value) == (
        "--format onnx needs tf2onnx, found none: pip install 'speech-emotion-zoo[onnx]'. Or choose another format"
    )
    with pytest.raises(UserError, match=r"\[opensmile\]'; its licence allows research .* non-commercial use only$"):
        extras.need("opensmile", "eGeMAPS")


def test_no_other_module_names_extras_in_its_own_words():
    for path in (*(ROOT / "zoo").rglob("*.py"), *(ROOT / "tuning").rglob("*.py")):
        assert "pip install -e" not in path.read_text(), path


@pytest.fixture
def without_opensmile(monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == "opensmile" else object())


@pytest.mark.parametrize(
    "words",
    [
        ["train", "--model", "egemaps_svm", "--corpus", "emodb", "--synthetic"],
        ["tune", "--model", "egemaps_svm", "--corpus", "emodb", "--synthetic", "--trials", "1", "--out", "search"],
        [
            "learn",
            "--model",
            "egemaps_svm",
            "--corpus",
            "emodb",
            "--synthetic",
            "--strategy",
            "random",
            "--out",
            "learn",
        ],
        ["extract", "--model", "egemaps_svm", "--corpus", "emodb", "--synthetic", "--out", "features/"],
    ],
)
def test_commands_notice_an_absent_package_before_they_write(without_opensmile, script, tmp_path, words):
    code, out, err = script(f"{words[0]}.py", *words[1:])
    assert (code, out) == (2, "")
    assert err.startswith(
        "error: --model egemaps_svm, whose features are openSMILE's, needs opensmile, found none: pip"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_ray_cluster_is_not_asked_for_without_ray(monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"^--ray auto needs ray, found none: pip install 'speech-emotion-zoo\[ray\]'$"):
        flags.check({"ray": "auto"}, "fold")
