"""Settings of the documentation site; `make docs` builds it, without network, into docs/_build."""

import json
import re
import sys
from pathlib import Path

from numpy.typing import ArrayLike
from sphinx.util.typing import stringify_annotation

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from zoo.utils import quiet  # noqa: E402
from zoo.version import __version__  # noqa: E402

quiet.begin()  # autodoc imports TensorFlow

project = "Speech-emotion zoo"
author = "the authors of the speech-emotion zoo"
version = release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc"]
# A notebook becomes Markdown when it is read, see notebook_as_markdown.
source_suffix = {".md": "markdown", ".ipynb": "markdown"}
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"Speech-emotion zoo {version}"
html_copy_source = False
html_show_copyright = False
myst_heading_anchors = 4
highlight_language = "none"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
autodoc_inherit_docstrings = False  # Keras's own
autodoc_default_options = {"members": True, "show-inheritance": False}


def setup(app) -> None:
    """Connect what is changed on the way from the files to the pages."""
    app.connect("source-read", notebook_as_markdown)
    app.connect("source-read", diagram_as_list)
    app.connect("source-read", modules_in_full)
    app.connect("autodoc-process-docstring", docstring_as_text)
    app.connect("autodoc-process-signature", array_like_by_name)


def notebook_as_markdown(app, name: str, source: list[str]) -> None:
    """Replace a notebook's JSON by Markdown: its texts, its code, and below the code what it printed."""
    if not source[0].startswith("{"):
        return
    parts = []
    for cell in json.loads(source[0])["cells"]:
        text = "".join(cell["source"])
        parts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
        printed = "".join("".join(one.get("text", ())) for one in cell.get("outputs", ()))
        if printed:
            parts.append(f"```text\n{printed.rstrip()}\n```")
    source[0] = "\n\n".join(parts)


def diagram_as_list(app, name: str, source: list[str]) -> None:
    """Replace a Mermaid diagram of subgraphs, which GitHub draws by a program of its own, by a list of their boxes."""
    source[0] = re.sub(r"```mermaid\n(.*?)```", lambda found: _boxes(found[1]), source[0], flags=re.DOTALL)


def _boxes(diagram: str) -> str:
    lines = []
    for line in diagram.splitlines():
        if group := re.match(r" *subgraph \w+ \[(.*)\]", line):
            lines.append(f"- {group[1]}")
        elif (box := re.match(r' +(\w+)(?:\["(.*?)(?:: (.*))?"\])?$', line)) and box[1] != "end":
            lines.append(f"  - `{box[2] or box[1]}`" + (f": {box[3]}" if box[3] else ""))
    return "\n".join(lines) + "\n"


def modules_in_full(app, name: str, source: list[str]) -> None:
    """Replace <!-- modules: NAME PACKAGE.* --> by a section for each module, made from its docstrings."""
    source[0] = re.sub(r"<!-- modules: (.*?) -->", lambda found: _sections(found[1].split()), source[0])


def _sections(names: list[str]) -> str:
    modules = []
    for name in names:
        folder = ROOT.joinpath(*name.removesuffix(".*").split("."))
        inside = sorted(path.stem for path in folder.glob("*.py") if path.stem != "__init__")
        modules += [name.replace("*", one) for one in inside] if name.endswith(".*") else [name]
    return "\n\n".join(f"## `{one}`\n\n```{{eval-rst}}\n.. automodule:: {one}\n```" for one in modules)


def array_like_by_name(app, what: str, name: str, obj, options, signature: str | None, returns: str | None):
    """Write ArrayLike by its name, in place of the long union that it stands for."""
    in_full = stringify_annotation(ArrayLike, "smart")
    return tuple(text and text.replace(in_full, "ArrayLike") for text in (signature, returns))


def docstring_as_text(app, what: str, name: str, obj, options, lines: list[str]) -> None:
    """Show a docstring as it is written: prose with `code`, lists of arguments, examples, indented blocks."""
    shown: list[str] = []
    for block in re.split(r"\n\s*\n", "\n".join(lines).strip("\n")):
        if block.lstrip().startswith(">>>"):
            shown += [*block.splitlines(), ""]
        elif block.startswith(" "):
            shown += ["::", "", *(f"    {line}" for line in block.splitlines()), ""]
        elif re.search(r"\n .*\n\S", block):  # NAME: what it is, with lines that go on
            shown += [*_items(block), ""]
        else:
            head = re.match(r"(?:\S.*\n?)*", block)[0]
            shown += [*_prose(head).splitlines(), "", *_items(block[len(head) :]), ""]
    lines[:] = shown


def _items(text: str) -> list[str]:
    """Make a list of indented lines: one that is indented least begins an item, others go on with it."""
    lines = text.splitlines()
    least = min((len(line) - len(line.lstrip()) for line in lines), default=0)
    return [("  " if line[least] == " " else "- ") + _prose(line.strip().removeprefix("- ")) for line in lines]


def _prose(text: str) -> str:
    """Escape what reStructuredText would read as markup; text in backticks is code."""
    pieces = re.split(r"(`[^`]+`)", text)
    return "".join(
        f"`{piece}`" if number % 2 else re.sub(r"([*|_\\`])", r"\\\1", piece) for number, piece in enumerate(pieces)
    )
