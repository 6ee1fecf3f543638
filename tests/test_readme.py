"""The README says what the code has."""

from pathlib import Path

from zoo import registry, tables
from zoo.data.corpora import CORPORA

README = Path(__file__).parents[1] / "README.md"


def test_tables_are_current():
    assert tables.fill(README) == README.read_text(), "run: python scripts/update_readme.py"


def test_tables_hold_every_row():
    assert all(f"| `{name}` |" in tables.networks() for name in registry.MODELS)
    assert all(f"| `{name}` |" in tables.corpora() for name in CORPORA)
    text = README.read_text()
    assert tables.networks() in text and tables.corpora() in text
