"""What a comparison looks like: on the terminal, as Markdown, CSV and LaTeX, and through the command line."""

import csv
import io
import json
import math
import re

import pytest
from compared_runs import continuous_rows, emotion_rows, write_run
from rich.console import Console

from zoo.studies.compare import compare_runs
from zoo.studies.compare_table import FORMATS, SUFFIXES, print_comparison


def compared(tmp_path, n_speakers=6, names=("weak_net", "strong_[net]"), rows=emotion_rows, **facts):
    folders = [
        write_run(tmp_path / name, rows(0.3 + 0.25 * number, n_speakers=n_speakers), {"model": name}, **facts)
        for number, name in enumerate(names)
    ]
    return compare_runs(folders)


def on_terminal(comparison, width=200):
    console = Console(file=io.StringIO(), width=width)
    print_comparison(comparison, console)
    return console.file.getvalue()


def test_the_terminal_shows_both_tables_and_notes(tmp_path):
    comparison = compared(tmp_path)
    text = on_terminal(comparison)
    score, item = comparison.scores["weak_net"]["WA"], comparison.differences[0]
    assert "emodb, emodb-speakers v1: 48 clips of 6 speakers" in text and "Differences from weak_net" in text
    assert "strong_[net]" in text  # not read as markup
    assert f"{100 * score.value:.1f}" in text and f"[{100 * score.low:.1f}, {100 * score.high:.1f}]" in text
    assert f"{100 * item.value:+.1f}".replace("-", "−") in text
    assert "take clips as independent" in " ".join(text.split()) and "all 2^6 flips" in " ".join(text.split())
    assert "Holm" not in text and "Too few" not in text and "Synthetic" not in text


def test_eighty_columns_hold_every_number(tmp_path):
    names = ("cnn1d_mfcc-ravdess-random-67-seed-0", "rnn_mfcc-ravdess-random-67-seed-0")
    comparison = compared(tmp_path, names=names)
    text = on_terminal(comparison, width=80)
    assert "…" not in text and max(map(len, text.splitlines())) <= 80
    assert f"{comparison.differences[0].p['mcnemar']:.3f}".replace("0.000", "< 0.001") in text and "z-test" in text


@pytest.mark.parametrize(
    ("n_speakers", "names", "stated"),
    [
        (6, "ab", None),
        (5, "ab", "Too few speakers: with 5, p sign flips is never below 0.0625 and cannot reach 5 %"),
        (6, "abc", "Too few speakers for 2 comparisons: with 6, p sign flips after correction is never below 0.0625"),
        (7, "abc", None),
        (1, "ab", "One speaker: there is no interval over speakers"),
    ],
)
def test_too_few_speakers_are_stated(tmp_path, n_speakers, names, stated):
    text = " ".join(on_terminal(compared(tmp_path, n_speakers, names)).split())
    assert stated in text if stated else "speaker" in text and "Too few" not in text
    assert ("Holm's correction for 2 comparisons" in text) is (len(names) == 3)


def test_synthetic_leaking_incomplete_and_warning_runs_are_marked_everywhere(tmp_path):
    facts = {"leakage": ["3 of 6 speakers on two sides."], "notes": ["session 5: none"]}
    comparison = compared(tmp_path, synthetic=True, warnings=["--weights random: no baseline"], **facts)
    for text in (on_terminal(comparison), FORMATS["markdown"](comparison), FORMATS["latex"](comparison)):
        text = " ".join(text.split())
        assert "synthetic, leakage, incomplete, warning" in text and "synthetic emodb" in text
        assert "Synthetic clips: the figures say nothing about real speech." in text
        assert "All runs: not speaker-independent: 3 of 6 speakers on two sides." in text
        assert "All runs: incomplete corpus: session 5: none." in text
        assert "All runs: warning: --weights random: no baseline." in text.replace("{-}", "-")
    csv_marks = "synthetic; leakage; incomplete; warning; --weights random: no baseline"
    assert FORMATS["csv"](comparison).count(csv_marks) == 6


def test_markdown_is_two_tables_with_names_escaped(tmp_path):
    text = FORMATS["markdown"](compared(tmp_path, names=("a|b", "*_c_*")))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert rows[0] == "| System | Remarks | WA (%) | UA (%) | Seeds |" and rows[1] == "|---|---|---:|---:|---:|"
    assert rows[2].startswith(r"| a\|b | – | ") and rows[3].startswith(r"| \*\_c\_\* | ")
    widths = [len(re.findall(r"(?<!\\)\|", row)) for row in rows]
    assert widths == [6] * 4 + [8] * 4
    assert "weak_net |" in FORMATS["markdown"](compared(tmp_path))


def test_latex_has_booktabs_rules_and_no_bare_special_character(tmp_path):
    text = FORMATS["latex"](compared(tmp_path, names=("a_b&c#", "50%~{x}^$")))
    assert r"a\_b\&c\#" in text and r"50\%\textasciitilde{}\{x\}\textasciicircum{}\$" in text
    for rule in ("toprule", "midrule", "bottomrule", "begin{tabular}", "end{tabular}"):
        assert text.count(f"\\{rule}") == 2
    for line in text.splitlines()[1:]:
        plain = line.replace("$-$", "").replace(r"$\pm$", "")
        cells = len(re.findall(r"(?<!\\)&", plain))
        assert not re.search(r"(?<!\\)[%#_$^~]", plain) and cells in (0, 4, 6)
    assert "±" not in text and "–" not in text and "−" not in text


def test_csv_holds_every_number_unrounded_and_tables_the_corrected_p(tmp_path):
    comparison = compared(tmp_path, n_speakers=8, names=("a,b", "b", "c"))
    rows = list(csv.DictReader(io.StringIO(FORMATS["csv"](comparison))))
    assert [(row["row"], row["system"], row["figure"]) for row in rows] == [
        *(("system", name, figure) for name in ("a,b", "b", "c") for figure in ("WA", "UA")),
        *(("difference", name, figure) for name in "bc" for figure in ("WA", "UA")),
    ]
    wa, item = rows[8], comparison.differences[2]
    assert wa["against"] == "a,b" and float(wa["value"]) == item.value and float(wa["high"]) == item.high
    assert rows[9]["p_mcnemar"] == "" == rows[0]["deviation"] and rows[0]["n_tested"] == "64"
    assert item.corrected["sign_flips"] == 2 * item.p["sign_flips"]  # the smaller of two
    assert float(wa["p_sign_flips"]) == item.p["sign_flips"]
    assert float(wa["p_sign_flips_holm"]) == item.corrected["sign_flips"]
    (shown,) = [line for line in FORMATS["markdown"](comparison).splitlines() if line.startswith("| c | WA")]
    assert f"| {item.corrected['sign_flips']:.3f} |" in shown


def test_ratings_have_three_decimals_and_no_tests_on_clips(tmp_path):
    comparison = compared(tmp_path, rows=continuous_rows)
    text = FORMATS["markdown"](comparison)
    assert "| System | Remarks | CCC | CCC arousal | CCC valence | Seeds |" in text
    assert "6 recordings of 6 speakers" in text and "McNemar" not in text and "%)" not in text
    assert f"{comparison.scores['weak_net']['CCC'].value:.3f} [" in text
    assert "over all rated frames of all recordings, as predicted" in text


def test_the_command_line_compares_writes_and_ends_with_two_on_a_mistake(tmp_path, script):
    comparison = compared(tmp_path)
    folders = tmp_path / "weak_net", tmp_path / "strong_[net]"
    code, shown, said = script("compare.py", *folders)
    assert code == 0 and said == "" and "Differences from weak_net" in shown
    for suffix, form in SUFFIXES.items():
        expected = FORMATS[form](comparison)
        assert script("compare.py", *folders, "--format", form) == (0, expected, "")
        assert script("compare.py", *folders, "--out", f"out{suffix}") == (0, "", "")
        assert (tmp_path / f"out{suffix}").read_bytes().decode() == expected
    for words, message in (
        (folders[:1], "expected two runs"),
        ((*folders, "--out", "x.txt"), "expected a name that ends in .md, .csv, .tex, found .txt"),
        ((*folders, "--format", "csv", "--out", "x.csv"), "not allowed with"),
    ):
        code, shown, said = script("compare.py", *words)
        assert code == 2 and shown == "" and "error: " in said and message in said


ACTING = "a\x1b]0;owned\x07\u202e\nb"


def test_json_is_one_document_with_every_number(tmp_path, script):
    comparison = compared(tmp_path, n_speakers=1)
    code, out, errors = script("compare.py", tmp_path / "weak_net", tmp_path / "strong_[net]", "--json")
    found = json.loads(out)
    assert (code, errors) == (0, "") and found["figures"] == ["WA", "UA"] and found["clips"] == comparison.n_tested
    assert [one["name"] for one in found["systems"]] == ["weak_net", "strong_[net]"]
    score = comparison.scores["weak_net"]["UA"]
    assert found["systems"][0]["scores"]["UA"]["value"] == score.value
    assert math.isnan(score.deviation) and found["systems"][0]["scores"]["UA"]["deviation"] is None  # of one seed
    assert found["differences"][1]["value"] == comparison.differences[1].value
    assert found["differences"][0]["p"]["mcnemar"] == comparison.differences[0].p["mcnemar"]
    assert any(note.startswith("One speaker") for note in found["notes"])


def test_no_form_of_a_table_has_what_acts_on_a_terminal_or_a_spreadsheet(tmp_path):
    comparison = compared(tmp_path, names=("=1+1", ACTING), leakage=[f"{ACTING} on two sides."])
    texts = {name: form(comparison) for name, form in FORMATS.items()}
    texts["terminal"] = on_terminal(comparison)
    for name, text in texts.items():
        assert not {"\x1b", "\x07", "\u202e"} & set(text), name
        assert "owned" in text
    rows = list(csv.DictReader(io.StringIO(texts["csv"])))
    assert {row["system"] for row in rows} == {"'=1+1", r"'a\x1b]0;owned\x07\u202e\nb"}
    assert r"a\x1b]0;owned\x07\u202e\nb" in texts["terminal"]
