"""The README says what the code has."""

from pathlib import Path

from zoo import catalogue, registry
from zoo.data.corpora.registry import CORPORA

README = Path(__file__).parents[1] / "README.md"


def test_tables_are_current():
    assert catalogue.fill(README) == README.read_text(), "run: python scripts/update_readme.py"


def test_tables_hold_every_row():
    assert all(f"| `{name}` |" in catalogue.networks() for name in registry.MODELS)
    assert all(f"| `{name}` |" in catalogue.corpora() for name in CORPORA)
    text = README.read_text()
    assert catalogue.networks() in text and catalogue.corpora() in text
