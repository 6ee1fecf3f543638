"""The documentation: commands that parse, links that lead somewhere, a notebook that runs, figures of the FAQ."""

import argparse
import importlib.util
import json
import re
import shlex
import sys
from pathlib import Path
from types import ModuleType

import pytest

from zoo.commands import ser, start
from zoo.utils.parser import Parser

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md")), *sorted((DOCS / "api").glob("*.md"))]
BLOCK = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = r"((?:ser [a-z]|python scripts/\w+\.py).*)"


class OptionsRead(Exception):  # noqa: N818
    """Raised where a command has read its options, before it does anything."""


def module(name: str) -> ModuleType:
    """Import a file of docs/, which is no package."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / f"{name}.py")
    assert spec and spec.loader
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def in_blocks(text: str) -> list[str]:
    """Return the command lines that a page's blocks hold, each in full, and those in cells of tables."""
    blocks = "\n".join(BLOCK.findall(text)).replace("\\\n", " ")
    cells = [cell for cell in re.findall(r"\| `((?:ser|python) [^`]+)`", text) if re.search(r" --(?!help)", cell)]
    lines = re.findall(rf"(?:^|\| |&& )(?:\.venv/bin/)?{COMMAND}", blocks, re.MULTILINE)
    return [line for line in lines if " --help" not in line] + cells


def in_prose(text: str) -> list[str]:
    """Return what a page's prose mentions of command lines: a command with options, which need not be all."""
    mentioned = [" ".join(words.split()) for words in re.findall(r"`([^`]+)`", BLOCK.sub("", text))]
    return [line for line in mentioned if re.match(COMMAND, line) and " --" in line]


def words_of(line: str) -> list[str]:
    """Return the words of a command line as a shell would, without what stands for more of them."""
    line = re.sub(r"<\(.*?\)", "PIPE", line.split(" | ")[0].split(" > ")[0])
    first, *rest = shlex.split(line, comments=True)
    rest = rest if first == "ser" else [Path(rest[0]).stem.replace("_", "-"), *rest[1:]]
    return [word for word in rest if word != "..."]


def of_pages(find) -> dict[str, list[str]]:
    """Return the words of each command line that `find` finds in a page, by page and line."""
    return {f"{page.name}: {line}": words_of(line) for page in PAGES for line in find(page.read_text())}


WRITTEN, MENTIONED = of_pages(in_blocks), of_pages(in_prose)


@pytest.fixture
def read(monkeypatch, tmp_path):
    """Returns a function that starts a command, and stops it where it reads its options; there it calls `how`."""
    monkeypatch.chdir(tmp_path)

    def run(how, name, *words):
        def until_read(method):
            def reading(parser, *given):
                how(parser, method)
                raise OptionsRead

            return reading

        with monkeypatch.context() as patch:
            for parser in (argparse.ArgumentParser, Parser):
                for method in ("parse_args", "parse_intermixed_args"):
                    patch.setattr(parser, method, until_read(getattr(parser, method)))
            patch.setattr(sys, "argv", [f"ser {name}", *words])
            with pytest.raises(OptionsRead):
                start.command(name)()

    return run


def options_of(parser: Parser) -> set[str]:
    """Return the options of a command, with those of its own commands."""
    return set(parser._option_string_actions).union(*map(options_of, parser._commands().values()))


def test_pages_have_commands():
    assert len(WRITTEN) > 150 and len(MENTIONED) > 10
    assert {words[0] for words in (*WRITTEN.values(), *MENTIONED.values())} <= set(ser.commands())


@pytest.mark.parametrize("line", WRITTEN, ids=str)
def test_command_lines_in_blocks_parse(read, line):
    read(lambda parser, method: method(parser), *WRITTEN[line])


@pytest.mark.parametrize("line", MENTIONED, ids=str)
def test_options_that_prose_mentions_exist(read, line):
    mentioned = {name for word in MENTIONED[line] for name in re.findall(r"^\[?(--[a-z-]+)", word)}

    def known(parser, method):
        assert mentioned <= options_of(parser) | {"--verbose", "--help"}

    read(known, *MENTIONED[line])


def links(page: Path) -> list[str]:
    """Return the targets of a page's links and pictures inside the repository."""
    found = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL))
    return [target for target in found if not re.match(r"https?:|mailto:", target)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page):
    for target in links(page):
        assert (page.parent / target.partition("#")[0]).exists(), f"{page.name} links {target}"


def test_no_page_is_called_as_one_that_sphinx_makes_itself():
    assert not {page.stem for page in PAGES} & {"search", "genindex", "py-modindex"}


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) < 100


def test_the_notebook_prints_what_it_shows(tmp_path):
    notebook = module("notebook")
    stored = json.loads(notebook.NOTEBOOK.read_text())
    shown = ["".join(line for one in cell["outputs"] for line in one["text"]) for cell in notebook.code_cells(stored)]
    assert notebook.run(stored, tmp_path) == shown, "run: python docs/notebook.py"
    assert sum(map(bool, shown)) > 8
