"""The tables of networks and corpora in docs/ say what the code has."""

from pathlib import Path

import pytest

from zoo import catalogue, measurements, registry
from zoo.data.corpora.registry import CORPORA

DOCS = Path(__file__).parents[1] / "docs"
NETWORKS, CORPORA_PAGE = DOCS / "networks.md", DOCS / "corpora.md"


@pytest.mark.parametrize("page", [NETWORKS, CORPORA_PAGE], ids=lambda page: page.name)
def test_tables_are_current(page):
    assert catalogue.fill(page) == page.read_text(), "run: python scripts/update_readme.py"


def test_tables_of_speed_are_made_of_their_records():
    tables = measurements.encoders(DOCS)
    page = DOCS / "encoders.md"
    assert catalogue.fill(page, tables) == page.read_text(), "run: python scripts/update_readme.py"
    assert all(f"<!-- {name} -->\n{table}\n" in page.read_text() for name, table in tables.items())
    assert f"<!-- speed -->\n{measurements.programs(DOCS)}\n" in (DOCS / "reproduction.md").read_text()


def test_tables_hold_every_row():
    assert all(f"| `{name}` |" in catalogue.networks() for name in registry.MODELS)
    assert all(f"| `{name}` |" in catalogue.corpora() for name in CORPORA)
    assert catalogue.networks() in NETWORKS.read_text() and catalogue.corpora() in CORPORA_PAGE.read_text()


def test_a_page_without_a_table_stays_as_it_is(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("no table\n<!-- corpora -->\nold\n<!-- end -->\nbehind\n")
    assert catalogue.fill(page) == f"no table\n<!-- corpora -->\n{catalogue.corpora()}\n<!-- end -->\nbehind\n"
    page.write_text("no table\n")
    assert catalogue.fill(page) == "no table\n"
