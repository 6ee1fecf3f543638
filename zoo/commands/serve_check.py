"""Prove that an export serves, in every way that can be tried without a model server.

    python scripts/serve_check.py saved_models/NAME
    python scripts/serve_check.py saved_models/NAME/3 --run runs/NAME      # also compared with the run's own models

Each proof is passed, failed, or skipped with the reason; the exit code is 1 when one failed. docs/serving.md lists
them.
"""

from pathlib import Path

from zoo.utils.backends import use_backend
from zoo.utils.parser import Parser

_COLOURS = {"passed": "green", "failed": "bold red", "skipped": "yellow"}


def main() -> int:
    parser = Parser(description=__doc__)
    parser.add_argument("exports", type=Path, nargs="+", help="a version's folder, or a folder of versions")
    parser.add_argument("--run", type=Path, help="the run that the export was made of")
    args = parser.parse_args()
    use_backend("tensorflow")

    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from zoo.export.proofs.check import FAILED, NO_SERVER, check
    from zoo.utils.text import printable

    console = Console()
    found = check(args.exports, args.run)
    for place, proofs in zip(args.exports, found, strict=True):
        table = Table(title=str(place), title_justify="left")
        for column in ("proof", "result", "by"):
            table.add_column(column, overflow="fold")
        for proof in proofs:
            colour = _COLOURS[proof.status]
            table.add_row(proof.name, f"[{colour}]{proof.status}[/{colour}]", escape(printable(proof.detail)))
        console.print(table)
    console.print(NO_SERVER)
    return int(any(proof.status == FAILED for proofs in found for proof in proofs))
