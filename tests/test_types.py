"""Types of what users import: strict mypy takes a program of theirs, and public functions say all of theirs."""

import ast
from pathlib import Path

import pytest
from mypy import api

ROOT = Path(__file__).parents[1]
PROGRAM = """
from pathlib import Path

import numpy as np

import zoo
from zoo.errors import UserError
from zoo.keras_metrics import CCC, UA
from zoo.losses import BatchCCC
from zoo.metrics.classification import evaluate


def emotion_of(path: Path) -> str:
    model = zoo.load("attention_blstm_fcn-ravdess")
    answer = model.predict(path)
    several = model.predict([path, path.read_bytes(), np.zeros(9_600)])
    vectors: np.ndarray = model.embed([path])
    assert len(several) == 3 and len(vectors) == 1
    return "" if "ratings" in answer else answer["emotion"] or ""


try:
    print(emotion_of(Path("clip.wav")), BatchCCC(reduction="sum"), CCC(2), UA(4, name="mine"))
except UserError as error:
    print(error.message)
print(evaluate(["sad"], ["sad"], ["angry", "sad"], ["ann"])["ua"])
"""
# Keras calls these with tensors, which have no types of their own.
HOOKS = {
    "build",
    "call",
    "compute_mask",
    "compute_output_shape",
    "compute_output_spec",
    "convolution_op",
    "from_config",
}
HOOKS |= {"get_config", "inner_loop", "n_frames", "variables"}


@pytest.fixture
def checked(tmp_path, monkeypatch):
    """A function that checks a program in strict mode, and returns mypy's words and exit code."""
    monkeypatch.setenv("MYPYPATH", str(ROOT))

    def check(program):
        (tmp_path / "program.py").write_text(program)
        cache = ROOT / ".mypy_cache" / "programs"
        options = [
            "--strict",
            "--follow-imports=silent",
            "--ignore-missing-imports",
            "--config-file=",
            "--no-error-summary",
        ]
        said, errors, code = api.run([*options, f"--cache-dir={cache}", str(tmp_path / "program.py")])
        return said + errors, code

    return check


def test_strict_mypy_takes_a_users_program_and_finds_its_mistakes(checked):
    assert (ROOT / "zoo/py.typed").is_file()
    assert checked(PROGRAM) == ("", 0)
    said, code = checked('import zoo\n\nzoo.load(3)\nzoo.load("a").predict("clip.wav", rate_hz="16 kHz")\n')
    assert code == 1 and 'Argument 1 to "load"' in said and "rate_hz" in said


def test_public_functions_and_constructors_have_types():
    for path in sorted((ROOT / "zoo").rglob("*.py")):
        tree = ast.parse(path.read_text())
        classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]
        for node in (node for body in (tree, *classes) for node in body.body):
            if isinstance(node, ast.FunctionDef) and not lacks_nothing(node):
                raise AssertionError(f"{path}:{node.lineno}: {node.name} has arguments or answers without a type")


def lacks_nothing(function: ast.FunctionDef) -> bool:
    private = function.name.startswith("_") and function.name != "__init__"
    if private or function.name in HOOKS:
        return True
    given = function.args
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    typed = all(one.annotation for one in every if one and one.arg not in ("self", "cls"))
    return typed and (function.returns is not None or function.name == "__init__")
