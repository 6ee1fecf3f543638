"""The ledger, docs/reproduction.md: every published figure has a row, and figures of ours come from records."""

import json
import re
from pathlib import Path

import pytest

from zoo import catalogue
from zoo.errors import UserError
from zoo.reproduction import jobs, ledger, published
from zoo.reproduction.published import tomllib
from zoo.utils.atomic_files import write_csv, write_json

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "reproduction.md"
TABLES = published.tables()
# A figure as results have them: decimals, per cent.
# Chance, settings, tests of what papers print, wishes and figures of others.
NOT_MEASURED = (
    *("95 %", "12.5 %", "p below .125", "TensorFlow 2.21", "RMSprop 0.005", ".0208", "Wished: 73 %"),
    *("p = .61", "p = .0004", "74.57 %", "94.63 %", "59 to 62 %", "67 %"),
)
FIGURE = re.compile(r"(?<![\w.-])-?\d*\.\d{2,}|\d %")


@pytest.fixture(scope="module")
def blocks():
    return ledger.blocks(DOCS)


@pytest.fixture(scope="module")
def content():
    with (DOCS / "ledger.toml").open("rb") as file:
        return tomllib.load(file)


def test_the_page_is_current(blocks):
    assert catalogue.fill(PAGE, blocks) == PAGE.read_text(), "run: python scripts/update_readme.py"


def test_the_guide_lists_every_job():
    guide = DOCS / "reproduce.md"
    assert catalogue.fill(guide, {"jobs": jobs.in_markdown()}) == guide.read_text(), (
        "run: python scripts/update_readme.py"
    )
    assert all(f"| `{name}` |" in guide.read_text() for name in jobs.JOBS)


def test_every_table_is_on_the_page_once(blocks):
    page = PAGE.read_text()
    assert {name: page.count(f"<!-- {name} -->") for name in blocks} == dict.fromkeys(blocks, 1)


@pytest.mark.parametrize("name", TABLES)
def test_every_published_figure_has_a_row(name, blocks):
    lines = [line.split(" | ") for line in blocks[name].splitlines() if line.startswith("| ")]
    rows = {line[0].removeprefix("| "): line for line in lines}
    for (row, column), figure in TABLES[name].figures.items():
        if figure.value is not None:
            cell = rows[row][1 + TABLES[name].columns.index(column)]
            assert cell.split(" (sd")[0] == figure.printed, (row, column)


@pytest.mark.parametrize("name", [name for name, table in TABLES.items() if " " not in table.command])
def test_the_command_of_a_table_is_a_job(name):
    assert TABLES[name].command in jobs.JOBS


def test_tests_that_are_commands_exist():
    named = [table.command.removeprefix("pytest ") for table in TABLES.values() if table.command.startswith("pytest")]
    assert named and all((DOCS.parent / path).is_file() for path in named)


def test_every_job_has_its_published_figures():
    assert set(jobs.JOBS) <= set(TABLES)


def test_bound_rows_are_rows_of_the_paper(content):
    for name, entry in content["published"].items():
        assert {*entry.get("rows", ()), *entry.get("theirs", ())} <= set(TABLES[name].rows), name


def test_records_exist():
    named = ledger.records(DOCS)
    assert len(named) > 30 and all((DOCS / "runs" / record).exists() for record in named)


def test_figures_of_ours_are_not_typed(content):
    """A row with a record has its figures from it; rows without one say so, or have none."""
    for name, entry in content["published"].items():
        for row in entry.get("rows", {}).values():
            assert all(not FIGURE.search(ledger.REFERENCE.sub("", ours["ours"])) for ours in row), name
    for name, entry in content["tables"].items():
        for row in entry["rows"]:
            for column in (column for column in row if column.startswith(("ours", "UA", "error", "seed", "clean"))):
                typed = FIGURE.search(ledger.REFERENCE.sub("", row[column]))
                assert not (typed and "record" in row), (name, row)


def typed_figures(text):
    """Return the figures in a text but those that are not measured by us."""
    for words in NOT_MEASURED:
        text = text.replace(words, "")
    return FIGURE.findall(text)


def test_figures_outside_of_generated_blocks_are_not_typed():
    """But in code, and in the section on readings."""
    generated = r"<!-- [\w.-]+ -->.*?<!-- end -->|```.*?```|`[^`\n]*`|^## Readings.*?(?=^## )"
    assert typed_figures(re.sub(generated, "", PAGE.read_text(), flags=re.DOTALL | re.MULTILINE)) == []


def test_figures_in_sentences_are_of_records(content):
    for name, text in content["texts"].items():
        assert typed_figures(ledger.REFERENCE.sub("", text)) == [], name


@pytest.fixture
def runs(tmp_path):
    figures = {"ua": {"value": 0.3866, "low": 0.3359, "high": 0.4375}, "folds": [{"best_epoch": 27, "a/b": 1.25}]}
    write_json(tmp_path / "one" / "metrics.json", figures)
    write_csv(
        tmp_path / "noise.csv", [{"snr": s, "ua": u, "ua_low": 0.1, "ua_high": 0.5} for s, u in ((0, 0.2), (6, 0.3))]
    )
    return tmp_path


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("UA {ua}", "UA 38.7 % [33.6, 43.8]"),
        ("{ua!}, epoch {folds/0/best_epoch}", "38.7 %, epoch 27"),
        ("{folds/0/a/b}", "1.250"),
        ("{noise.csv:ua@snr=6}", "30.0 % [10.0, 50.0]"),
        ("{ua!|.4f}; {ua|points}; {folds/0/a/b|%}", "0.3866; +38.7 [+33.6, +43.8]; 125.0 %"),
        ("no figure", "no figure"),
    ],
)
def test_references_become_figures(runs, text, shown):
    assert ledger.filled(text, "one", runs) == shown


@pytest.mark.parametrize("text", ["{wa}", "{folds/1/ua}", "{two:ua}", "{noise.csv:ua@snr=9}", "{noise.csv:ua@ratio=6}"])
def test_a_figure_that_no_record_has_is_refused(runs, text):
    with pytest.raises(UserError, match=r"docs/ledger.toml: .*: expected .* in .*, found none"):
        ledger.filled(text, "one", runs)


def docs_with(tmp_path, about):
    (tmp_path / "ledger.toml").write_text("[published]\n[tables]\n[texts]\n")
    folder = tmp_path / "runs" / "reproduced" / "mine"
    row = {"row": "fcn", "variant": "", "column": "UA", "ours": 0.4, "low": 0.3, "high": 0.5, "unit": "%"}
    write_json(folder / "about.json", {"job": "zhao-table-5", "corpora": ["ravdess"], "flags": [], **about})
    write_csv(folder / "table.csv", [row, {**row, "row": "DNN+ELM", "ours": ""}])
    return tmp_path


def test_a_finished_job_enters_the_ledger_by_its_folder_alone(tmp_path):
    docs = docs_with(tmp_path, {"synthetic": False, "flags": ["--epochs", "12"]})
    head, *lines = ledger.blocks(docs)["zhao-table-5"].splitlines()
    (line,) = [line for line in lines if line.startswith("| fcn |")]
    assert line.endswith("| ravdess: UA 40.0 % [30.0, 50.0] | `reproduced/mine` |")
    assert head.endswith(" `reproduced/mine` is with `--epochs 12`.")


def test_a_job_on_synthetic_data_is_no_record(tmp_path):
    with pytest.raises(UserError, match=r"about\.json: of synthetic data"):
        ledger.blocks(docs_with(tmp_path, {"synthetic": True}))


def test_published_figures_are_as_printed():
    table = TABLES["khan-table-6"]
    figure = table.figures["neutral", "recall"]
    assert (figure.printed, figure.value, figure.deviation) == ("76.00 %", 0.76, None)
    figure = published.find("bakhshi-table-1", "12 s", "valence")
    assert (figure.printed, figure.value, figure.deviation) == ("0.243", 0.243, 0.0052)
    assert published.find("zhao-table-5", "DNN+ELM", "Aibo UA") is None
    assert published.find("zhao-windows", "15 to 200 ms", "Aibo UA").value is None
    hits = [round(f.value * n) for f, n in zip(table.figures.values(), (26, 61, 62, 76, 64, 55, 37, 32), strict=True)]
    assert sum(hits) == 308 and json.dumps(hits[1:]) == "[53, 47, 51, 53, 41, 18, 25]"
