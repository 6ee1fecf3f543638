"""Names of files neither act on a terminal nor become formulas, and stay told apart."""

import ast
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.utils.text import as_started, cell, printable

TEXTS = st.text(st.characters(codec=None) | st.sampled_from("\\'\"=\x1b\n\x9b\u202e\udc9b"), max_size=12)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, with spaces.wav", "plain, with spaces.wav"),
        ("\x1b[31mred\x1b]0;title\x07", r"\x1b[31mred\x1b]0;title\x07"),
        ("two\nlines\r\t", r"two\nlines\r\t"),
        ("\x9b2J\x7f\x00", r"\x9b2J\x7f\x00"),  # C1: one byte that begins a command
        ("cod\u202egpj.wav \u2066x\u2069", r"cod\u202egpj.wav \u2066x\u2069"),  # right to left
        ("a\u2028b\u2029c\ufeff", r"a\u2028b\u2029c\ufeff"),
        ("caf\udce9.wav", r"caf\udce9.wav"),  # Latin-1 bytes as Python names them
        ("\U000e0041", r"\U000e0041"),  # an invisible tag
        ("café 声\u3000音 C:\\x", "café 声\u3000音 C:\\x"),
        ("می\u200cخواهم \U0001f468\u200d\U0001f373", "می\u200cخواهم \U0001f468\u200d\U0001f373"),
    ],
)
def test_what_acts_on_a_terminal_is_escaped(text, shown):
    assert printable(text) == shown


@given(TEXTS)
def test_nothing_that_acts_is_left(text):
    kinds = {unicodedata.category(character) for character in printable(text) if character not in "\u200c\u200d"}
    assert not kinds & {"Cc", "Cf", "Cs", "Zl", "Zp"}


@given(TEXTS)
def test_every_text_can_be_restored_from_its_cell(text):
    """Python's own reader of string literals takes the escapes back."""
    made = cell(text)
    made.encode("utf-8")
    assert made == printable(made)
    assert not made.startswith(tuple("=+-@\t\r\n＝＋－＠"))
    if made.startswith("'"):
        inner = made[1:].replace('"', '\\"')
        assert ast.literal_eval(f'"{inner}"') == text
    else:
        assert made == text


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@a", "\ta", "\ra", "\na", "'a", "＝1", "＠a"])
def test_formulas_get_an_apostrophe(text):
    assert cell(text) == "'" + printable(text)


def test_numbers_and_harmless_text_stay():
    assert [cell(value) for value in ("a=1", "", -0.5, None, 3, r"C:\clips\a.wav")] == [
        "a=1", "", -0.5, None, 3, r"C:\clips\a.wav",
    ]  # fmt: skip


def test_commands_are_named_as_they_were_started():
    text = "export it with scripts/export.py, then python scripts/serve_check.py; not scripts.py"
    assert as_started("ser predict", text) == "export it with ser export, then ser serve-check; not scripts.py"
    assert as_started("predict.py", text) == text
