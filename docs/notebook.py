"""Run the notebook docs/python.ipynb in this process and write what its cells print into it.

python docs/notebook.py            # after a change of the notebook, or of what it shows
"""

import ast
import contextlib
import io
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from zoo.utils import quiet

NOTEBOOK = Path(__file__).with_name("python.ipynb")


def run(notebook: dict[str, Any], folder: Path) -> list[str]:
    """Run the code cells one after the other in `folder`; return what each printed, its last value too."""
    names: dict[str, Any] = {"__name__": "__main__"}
    before = Path.cwd()
    os.chdir(folder)
    try:
        return [_printed("".join(cell["source"]), names) for cell in code_cells(notebook)]
    finally:
        os.chdir(before)


def code_cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the cells that hold code."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def _printed(source: str, names: dict[str, Any]) -> str:
    parsed = ast.parse(source)
    last = parsed.body.pop() if parsed.body and isinstance(parsed.body[-1], ast.Expr) else None
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(compile(parsed, "<cell>", "exec"), names)
        value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), names) if last else None
        if value is not None:
            print(repr(value))
    return out.getvalue()


def main() -> None:
    quiet.begin()
    notebook = json.loads(NOTEBOOK.read_text())
    with tempfile.TemporaryDirectory() as folder:
        printed = run(notebook, Path(folder))
    for number, (cell, text) in enumerate(zip(code_cells(notebook), printed, strict=True), 1):
        cell["execution_count"] = number
        stream = {"name": "stdout", "output_type": "stream", "text": text.splitlines(keepends=True)}
        cell["outputs"] = [stream] if text else []
    NOTEBOOK.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
