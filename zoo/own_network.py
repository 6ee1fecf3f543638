"""Read a network from a file of a user's own: what the file states of it, its SHA-256, its builder.

What it states is read without running the file; only building the network runs it.
"""

import ast
import hashlib
import importlib.util
import re
from collections.abc import Callable
from functools import lru_cache, wraps
from inspect import signature
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from zoo.errors import UserError

TEMPLATE = """\
import keras
from keras import layers

from zoo.layers.attention import AttentionMap, WeightedSum
from zoo.layers.masking import masked_input

ENTRY = {"frontend": "log_mel", "task": "emotion"}


def build(n_outputs, n_inputs, *, filters=32, dropout=0.2, seed=0, name=None):
    inputs, frames, mask = masked_input(n_inputs)  # features and n_frames; padding is zero; true where frames are real
    hidden = layers.Conv1D(filters, 5, padding="same", activation="relu")(frames)
    hidden = WeightedSum()(hidden, AttentionMap()(hidden, mask))  # (batch, filters), padding left out
    hidden = layers.Dropout(dropout, seed=seed)(hidden)
    output = layers.Dense(n_outputs, activation="softmax", dtype="float32")(hidden)
    return keras.Model(inputs, output, name=name)"""
ADVICE = "docs/add-a-network.md has a template"
_NAME = re.compile(r"(.+\.py):(\w+)(?:@([0-9a-f]{12}))?")
_LARGEST_BYTES = 2**20
_KNOWN = ("frontend", "task", "title", "paper", "settings")


class Named(NamedTuple):
    """A network of a file: `name` is what configurations and records call it, such as mine.py:build@1f2e3d4c5b6a."""

    path: Path
    file: str  # its name; the copy in a run's folder has another
    function: str
    sha256: str

    @property
    def name(self) -> str:
        return f"{self.file}:{self.function}@{self.sha256[:12]}"


def is_named(text: str) -> bool:
    """Return whether a text has the form FILE.py:builder."""
    return _NAME.fullmatch(text) is not None


def find(text: str, path: Path | None = None) -> Named:
    """Return the network that FILE.py:builder or FILE.py:builder@HASH names; `path` is where its file is, if elsewhere.

    Raises UserError where there is no such file, or it has another hash.
    """
    found = _NAME.fullmatch(text)
    assert found
    path = (path or Path(found[1])).expanduser().absolute()
    if not path.is_file():
        raise UserError(f"--model {text}: expected a Python file, found none at {path}. Give its path")
    if path.stat().st_size > _LARGEST_BYTES:
        raise UserError(f"{path}: expected a file of {_LARGEST_BYTES} bytes at most, found {path.stat().st_size}")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    if found[3] and not sha256.startswith(found[3]):
        changed = f"its SHA-256 begins with {sha256[:12]}, expected {found[3]}: it was changed"
        raise UserError(f"{path}: {changed}. Restore it, or train again into another folder")
    return Named(path, Path(found[1]).name, found[2], sha256)


def stated(path: Path) -> dict[str, Any]:
    """Return ENTRY of a file, a dictionary of plain values. Raises UserError where it is absent, or of other keys."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UserError(f"{path}: expected Python, found {error}. Correct it") from error
    values = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and any(isinstance(one, ast.Name) and one.id == "ENTRY" for one in node.targets)
    ]
    expected = f'{path}: expected ENTRY = {{"frontend": ..., "task": ...}} with plain values'
    if not values:
        raise UserError(f"{expected}, found no ENTRY; {ADVICE}:", TEMPLATE)
    try:
        entry = ast.literal_eval(values[-1])
    except (ValueError, TypeError, RecursionError, MemoryError) as error:
        raise UserError(f"{expected}, found {ast.unparse(values[-1]):.100}; {ADVICE}") from error
    if not isinstance(entry, dict) or not {"frontend", "task"} <= entry.keys() <= set(_KNOWN):
        raise UserError(f"{expected} (and {', '.join(_KNOWN[2:])}), found {entry!r:.100}; {ADVICE}")
    return entry


@lru_cache
def module(path: Path, sha256: str) -> ModuleType:
    """Run a file, once for every path and content, and return its module."""
    spec = importlib.util.spec_from_file_location(f"own_network_{sha256}", path)
    assert spec and spec.loader
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def checked(place: str, builder: Any, frontend: str, task: str) -> Callable[..., Any]:
    """Return a builder that checks the networks it builds.

    Raises UserError for one that cannot be called as zoo.registry.build does, and for a network of other inputs or
    outputs than networks of this front-end and task have.
    """
    needed = {"n_coefficients": "80", "seed": "0", "name": "None"}
    if frontend != "mfcc":
        del needed["n_coefficients"]
    keywords = ", ".join(f"{name}={value}" for name, value in needed.items())
    expected = f"expected def {place.rpartition(':')[2]}(n_outputs, n_inputs, *, {keywords})"
    if not callable(builder):
        raise UserError(f"{place}: {expected}, found no such function; {ADVICE}:", TEMPLATE)
    parameters = signature(builder).parameters.values()
    named = [one.name for one in parameters if one.kind is one.KEYWORD_ONLY]
    places = [one.name for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    if len(places) != 2 or not needed.keys() <= set(named):
        found = f"({', '.join([*places, *(['*', *named] if named else [])])})"
        raise UserError(f"{place}: {expected}, found {found}; {ADVICE}:", TEMPLATE)

    @wraps(builder)
    def build(n_outputs: int, n_inputs: int, **options: Any) -> Any:
        network = builder(n_outputs, n_inputs, **options)
        if problem := _misfit(network, n_outputs, 2 if task == "emotion" else 3):
            raise UserError(f"{place}: {problem}; {ADVICE}:", TEMPLATE)
        return network

    return build


def _misfit(network: Any, n_outputs: int, rank: int) -> str:
    """Return what is expected of a network and what it is, where these differ."""
    import keras

    if not isinstance(network, keras.Model):
        return f"expected that it returns a keras.Model, found {type(network).__name__}"
    inputs = getattr(network, "input", None)
    if not isinstance(inputs, dict) or set(inputs) != {"features", "n_frames"}:
        found = (
            sorted(inputs) if isinstance(inputs, dict) else [one.name for one in getattr(network, "inputs", None) or ()]
        )
        return f"expected a network with the inputs features and n_frames, found {', '.join(found) or 'none'}"
    shape = getattr(network, "output_shape", None)
    if not isinstance(shape, tuple) or len(shape) != rank or shape[-1] != n_outputs:
        expected = f"(batch, {'frames, ' * (rank == 3)}{n_outputs})"
        return f"expected an output of {expected}, found {shape}"
    return ""
