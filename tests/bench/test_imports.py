"""Which packages each start imports, and how their seconds are counted. The seconds themselves are not tested."""

import ast
import json
import sys
from pathlib import Path

import pytest

from bench import imports

ROOT = Path(__file__).parents[2]
# Third-party packages that importing a module takes, those that other packages import in turn aside.
_AUDIO = {"numpy", "soundfile", "soxr"}
ALLOWED = {
    "zoo.training.train": {*_AUDIO, "filelock", "h5py", "keras", "rich", "scipy", "sklearn"},
    "zoo.commands.train": {*_AUDIO, "filelock", "scipy"},
    "zoo.commands.predict": {"filelock", "numpy", "rich"},
    "zoo.commands.evaluate": {*_AUDIO, "scipy"},
    "zoo.pretrained": {*_AUDIO, "filelock"},
    "zoo.reports.figures": {"filelock", "numpy"},
}


def imported(module, seen):
    """Add a module of this project and all that it imports at its top, also indirectly; return the other packages."""
    parts = module.split(".")
    for number in range(1, len(parts)):
        yield from _of_file(".".join(parts[:number]), seen)
    yield from _of_file(module, seen)


def _of_file(module, seen):
    if module in seen:
        return
    seen.add(module)
    stem = ROOT.joinpath(*module.split("."))
    path = stem.with_suffix(".py") if stem.with_suffix(".py").is_file() else stem / "__init__.py"
    if not path.is_file():
        return
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            package = name.partition(".")[0]
            if package in ("zoo", "tuning"):
                yield from imported(name, seen)
            elif package not in sys.stdlib_module_names:
                yield package


@pytest.mark.parametrize("module", ALLOWED)
def test_packages_that_each_start_imports_are_these_alone(module):
    assert set(imported(module, set())) <= ALLOWED[module]


def test_seconds_are_summed_by_package_without_those_of_others():
    text = (
        "import time: self [us] | cumulative | imported package\n"
        "import time:       200 |        200 |     numpy.core\n"
        "import time:      1000 |       1500 |   numpy\n"
        "import time:       300 |        300 |   json\n"
        "a warning | that | is no line\n"
        "import time:        50 |       1850 | zoo.pretrained\n"
    )
    found = imports.seconds_by_package(text)
    assert found == {"numpy": 0.0012, "Python's own": 0.0003, "zoo": 0.00005}


def test_rows_are_medians_and_the_page_shows_the_record(tmp_path):
    starts = [{"numpy": 0.2, "zoo": 0.1}, {"numpy": 0.4, "zoo": 0.1, "rich": 0.01}, {"numpy": 0.3, "zoo": 0.1}]
    row = imports._result("predict.py", starts)
    assert row.ours == pytest.approx(0.4) and row.note == "numpy 0.30, zoo 0.10, 1 others 0.00"
    machine = {"cores": 2, "load_average": [0.5, 0, 0], "python": "3.11.7", "versions": {"numpy": "2.4.6"}}
    (tmp_path / "record.json").write_text(json.dumps({**machine, "results": [row.record()]}))
    (tmp_path / "page.md").write_text("before\n<!-- measured -->\nold\n<!-- end -->\nafter\n")
    for _ in range(2):
        imports.write(tmp_path / "record.json", tmp_path / "page.md")
    text = (tmp_path / "page.md").read_text()
    assert text.startswith("before\n<!-- measured -->\n2 cores, load 0.5, Python 3.11.7, numpy 2.4.6.\n\n| start |")
    assert "| predict.py | 0.40 | numpy 0.30, zoo 0.10, 1 others 0.00 |\n<!-- end -->\nafter\n" in text


def test_the_page_is_that_of_the_record():
    record = json.loads(imports.RECORD.read_text())
    assert imports.table(record) in imports.PAGE.read_text()
