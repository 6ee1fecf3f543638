"""The console command `ser`: its list of commands, its suggestions, and how it starts them."""

import ast
import json
import runpy
import sys
import time
from importlib import import_module
from pathlib import Path

import pytest

from zoo.commands import ser, start

ROOT = Path(__file__).parents[2]
NO_COMMANDS = {"__init__", "ser", "start"}
MODULES = {path.stem: path for path in (ROOT / "zoo" / "commands").glob("*.py") if path.stem not in NO_COMMANDS}
MODULES["tune"] = ROOT / "tuning" / "command.py"


@pytest.fixture
def typed(monkeypatch, capsys):
    """Runs `ser` with these words in this process; returns its exit code, standard output and standard error."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["/usr/bin/ser", *words])
        with pytest.raises(SystemExit) as ended:
            ser.main()
        return ended.value.code, *capsys.readouterr()

    return run


def test_every_command_is_listed_in_one_group_with_its_first_line(typed):
    code, out, err = typed()
    assert (code, err) == (0, "") and typed("--help") == typed("-h") == typed("help") == (0, out, "")
    for name, path in MODULES.items():
        docstring = ast.get_docstring(ast.parse(path.read_text()))
        line = f"  {name.replace('_', '-'):<20}{docstring.splitlines()[0].rstrip('.')}\n"
        assert out.count(line) == 1, f"{line!r} is not in:\n{out}"
    assert "Other:" not in out, "name it in a group of ser.GROUPS"
    grouped = [name for names in ser.GROUPS.values() for name in names]
    assert len(grouped) == len(set(grouped))


def test_every_command_has_a_start_in_scripts():
    for name in MODULES:
        assert f'start("{name.replace("_", "-")}")' in (ROOT / "scripts" / f"{name}.py").read_text()


def test_ctrl_c_is_taken_before_anything_else_is_imported():
    for path in (ROOT / "zoo" / "commands" / "ser.py", ROOT / "zoo" / "utils" / "cli.py"):
        first = next(node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ImportFrom | ast.Import))
        assert isinstance(first, ast.ImportFrom)
        assert (first.module, first.names[0].name) in (("zoo.utils.cli", "run"), ("zoo.utils", "interrupts"))


def test_a_line_for_each_command_fits_a_terminal():
    shown = ser.overview(80).splitlines()
    assert max(map(len, shown)) <= 80
    assert "  compare             Compare finished runs on the same test clips: ..." in shown


def test_the_list_needs_no_library(monkeypatch):
    before, start_of_work = set(sys.modules), time.process_time()
    ser.overview(80)
    assert time.process_time() - start_of_work < 0.1 and not set(sys.modules) - before


def test_the_version_is_the_packages(typed):
    assert typed("--version") == (0, f"speech-emotion-zoo {import_module('zoo').__version__}\n", "")


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("trian", "ser: unknown command 'trian'. Did you mean 'train'?"),
        ("Serve_Chek", "ser: unknown command 'Serve-Chek'. Did you mean 'serve-check'?"),
        ("--versoin", "ser: unknown option '--versoin'. Did you mean '--version'?"),
        ("qqq", "ser: unknown command 'qqq'."),
    ],
)
def test_a_misspelt_command_gets_one_line_with_a_suggestion(typed, word, message):
    assert typed(word, "x") == (2, "", f"error: {message} ser --help lists all commands\n")


def test_a_command_gets_its_words_and_its_name(typed, monkeypatch):
    found = []
    monkeypatch.setattr(start, "import_module", lambda name: found.append(name) or import_module(__name__))
    monkeypatch.setattr(sys.modules[__name__], "main", lambda: found.append(sys.argv), raising=False)
    assert typed("serve_check", "DIR", "--level", "-1,2")[0] == 0
    assert found == ["zoo.commands.serve_check", ["ser serve-check", "DIR", "--level=-1,2"]]
    typed("tune")
    assert found[2] == "tuning.command"


def test_help_calls_a_program_what_the_user_called_it(typed, monkeypatch, capsys):
    for words in (("compare", "--help"), ("help", "compare")):
        code, out, _ = typed(*words)
        assert code == 0 and out.startswith("usage: ser compare [-h]")
    monkeypatch.setattr(sys, "argv", ["scripts/compare.py", "--help"])
    with pytest.raises(SystemExit):
        runpy.run_path(str(ROOT / "scripts" / "compare.py"), run_name="__main__")
    assert capsys.readouterr().out.startswith("usage: compare.py [-h]")


def test_predict_explains_itself_and_takes_the_example(typed):
    for words in ((), ("attention_blstm_fcn-ravdess",)):
        code, out, err = typed("predict", *words)
        assert (code, out, err.count("\n")) == (2, "", 1) and "expected a model, and audio files" in err
        assert "as in: ser predict attention_blstm_fcn-ravdess clip.wav; `ser models` lists models, --example" in err
    code, out, _ = typed("predict", "attention_blstm_fcn-ravdess", "--example", "--json")
    assert code == 0 and json.loads(out)["file"].endswith("sense_and_sensibility.wav")
