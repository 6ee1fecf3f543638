"""LaTeX's tables are read back: by their structure, and by what LaTeX would print for the escaped text."""

import re

import pytest

from zoo.metrics import classification as metrics
from zoo.reports import classification, confusions, continuous, latex
from zoo.reports.tables import percent

HOSTILE = [
    r"50% of $x$ & a_b #1 {c} ~ ^ \input{/etc/passwd}",
    "[1em] first",
    "*starred",
    "a--b --- c",
    "say \"a\" ``b'' <c> |d|",
    "\x1b[31mred\n\\\\",
    "ж – ± − ²",
]
_PRINTED = {
    "textbackslash": "\\",
    "textasciitilde": "~",
    "textasciicircum": "^",
    "textless": "<",
    "textgreater": ">",
    "textbar": "|",
    "textasciigrave": "`",
    "textendash": "–",
}


def printed(text):
    r"""What LaTeX prints: \& is &, \textbar{} is |, braces vanish. Fails at bare special characters, other commands."""
    found, place = [], 0
    math = {r"$\pm$": "±", "$-$": "−", r"\textsuperscript{2}": "²"}
    while place < len(text):
        for source, shown in math.items():
            if text.startswith(source, place):
                found.append(shown)
                place += len(source)
                break
        else:
            if match := re.match(r"\\([&%$#_{}])", text[place:]):
                found.append(match[1])
            elif match := re.match(r"\\(text\w+)\{\}", text[place:]):
                found.append(_PRINTED[match[1]])
            elif match := re.match(r"[{}]", text[place:]):
                pass
            else:
                match = re.match(r"[^\\&%$#_~^]", text[place:], re.DOTALL)
                assert match, text[place:]
                found.append(match[0])
            place += len(match[0])
    return "".join(found)


def tables(text):
    """Each float of a text: caption, label and printed rows of cells. Fails where one is not whole."""
    assert text.startswith("% \\usepackage{booktabs}\n")
    found = []
    for body in re.findall(r"\\begin\{table\}\n(.*?)\\end\{table\}", text, re.DOTALL):
        lines = [line.strip() for line in body.strip().splitlines()]
        assert lines[0] == r"\centering" and lines[-1] == r"\end{tabular}"
        caption = re.fullmatch(r"\\caption\{(.*)\}", lines[1])[1]
        label = re.fullmatch(r"\\label\{(tab:[a-z0-9-]+)\}", lines[2])[1]
        columns = re.fullmatch(r"\\begin\{tabular\}\{([lr]+)\}", lines[3])[1]
        assert (lines[4], lines[6], lines[-2]) == (r"\toprule", r"\midrule", r"\bottomrule")
        rows = []
        for line in (lines[5], *lines[7:-2]):
            line = f" {line}" if line.startswith("&") else line  # its first cell is empty
            assert line.endswith(r" \\") and not line.startswith(("[", "*"))
            rows.append([printed(cell) for cell in re.split(r"(?<!\\) & ", line.removesuffix(r" \\"))])
        assert all(len(row) == len(columns) for row in rows)
        found.append((printed(caption), label, rows))
    assert text.count(r"\begin{table}") == len(found)
    return found


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_are_printed_as_they_are(text):
    expected = text.replace("\x1b", "\\x1b").replace("\n", "\\n")
    assert printed(latex.escaped(text)) == expected
    assert "--" not in latex.escaped(text), "LaTeX would make a dash of it"


def test_labels_are_plain_and_never_empty():
    assert (
        latex.label("confusion", "Netz_1 (tuned) on {RAVDESS}, fold 0")
        == "tab:confusion-netz-1-tuned-on-ravdess-fold-0"
    )
    assert latex.label("", "жук") == "tab:unnamed"


def test_tables_of_a_run_hold_the_figures_of_its_record():
    truth, prediction = ["a_1", "a_1", "b&c", "b&c"], ["a_1", "b&c", "b&c", "b&c"]
    record = metrics.evaluate(truth, prediction, ["a_1", "b&c", "[d]"], list("wxyz"))
    (classes, one, rows), (matrix, other, cells) = tables(classification.tex(record, "my_net on 50% noise"))
    assert one == "tab:classes-my-net-on-50-noise" and other == "tab:confusion-my-net-on-50-noise"
    assert classes.startswith("my_net on 50% noise: figures of each class (%). UA 75.0 %")
    assert matrix.startswith("my_net on 50% noise: confusion matrix.")
    assert rows[0] == ["Class", "Clips", "Recall", "Precision", "F1"]
    for name, n, *figures in rows[1:]:
        of_class = record["per_class"][name]
        wanted = [percent(of_class[key]).removesuffix(" %") for key in ("recall", "precision", "f1")]
        assert (int(n), figures) == (of_class["n"], wanted)
    assert cells == [
        ["", "a_1", "b&c", "[d]", "Clips"],
        ["a_1", "50.0", "50.0", "0.0", "2"],
        ["b&c", "0.0", "100.0", "0.0", "2"],
        ["[d]", "–", "–", "–", "0"],
    ]


def test_table_of_ratings_has_both_systems():
    row = {"ccc": {"value": 0.5, "low": 0.41, "high": 0.6}, "mean_ccc": 0.4, "pearson": 0.6, "rmse": 0.1, "mae": 0.2}
    dimensions = {"dimensions": {"arousal": row | {"kendall": None}}}
    ((_, label, rows),) = tables(continuous.tex({**dimensions, "postprocessed": dimensions}, "net"))
    assert label == "tab:ratings-net"
    shown = ["0.500 [0.410, 0.600]", "0.400", "0.600", "0.100", "0.200", "–"]
    assert rows[1:] == [["arousal", "as predicted", *shown], ["arousal", "post-processed", *shown]]


def test_tables_of_confusions_name_the_run():
    every = {"ua": 0.5, "wa": 0.5, "recalls": {"a": 0.5, "b": None}}
    record = {"classes": ["a", "b"], "groups": {"all": {"all": [[1, 1], [0, 0]]}}, "figures": {"all": {"all": every}}}
    (_, label, rows), (_, _, cells) = tables(confusions.tex(record, "Our net on ravdess"))
    assert label == "tab:classes-our-net-on-ravdess"
    assert rows[1:] == [["a", "2", "50.0"], ["b", "0", "–"]] and cells[2] == ["b", "–", "–", "0"]
