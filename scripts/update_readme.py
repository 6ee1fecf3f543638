"""Write the tables in README.md from the registry and the corpora. --check only says whether they are current."""

from zoo.utils.cli import run  # isort: skip  # first: it takes Ctrl-C

from pathlib import Path

from zoo import catalogue
from zoo.utils.atomic_files import written_aside
from zoo.utils.parser import Parser

README = Path(__file__).parents[1] / "README.md"


def main() -> int:
    parser = Parser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit code 1 when a table is out of date")
    args = parser.parse_args()
    new = catalogue.fill(README)
    if args.check:
        return int(new != README.read_text())
    with written_aside(README) as aside:
        aside.write_text(new)
    return 0


if __name__ == "__main__":
    run(main)
