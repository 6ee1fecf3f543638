"""Write the tables of networks, corpora, jobs and the ledger in docs/. --check only says whether they are current."""

from zoo.utils.cli import run  # isort: skip  # first: it takes Ctrl-C

from pathlib import Path

from zoo import catalogue, measurements
from zoo.reproduction import jobs, ledger
from zoo.utils.atomic_files import written_aside
from zoo.utils.parser import Parser

DOCS = Path(__file__).parents[1] / "docs"
PAGES = (DOCS / "networks.md", DOCS / "corpora.md")
LEDGER, GUIDE, ENCODERS = DOCS / "reproduction.md", DOCS / "reproduce.md", DOCS / "encoders.md"


def main() -> int:
    parser = Parser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit code 1 when a table is out of date")
    args = parser.parse_args()
    filled = {page: catalogue.fill(page) for page in PAGES}
    filled[GUIDE] = catalogue.fill(GUIDE, {"jobs": jobs.in_markdown()})
    filled[LEDGER] = catalogue.fill(LEDGER, {**ledger.blocks(DOCS), "speed": measurements.programs(DOCS)})
    filled[ENCODERS] = catalogue.fill(ENCODERS, measurements.encoders(DOCS))
    if args.check:
        return int(any(text != page.read_text() for page, text in filled.items()))
    for page, text in filled.items():
        with written_aside(page) as aside:
            aside.write_text(text)
    return 0


if __name__ == "__main__":
    run(main)
