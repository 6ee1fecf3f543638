"""The parser of all commands: one line for a mistake, short help, and what became of old options."""

import pytest

from zoo.config import flags
from zoo.errors import UserError
from zoo.utils.parser import Numbers, Parser


def parser(**options):
    found = Parser(prog="ser try", description="Try it.\n\n    scripts/try.py --epochs 3\n\nLong words.", **options)
    found.add_argument("run")
    found.add_argument("--epochs", type=int)
    found.add_argument("--format", choices=("csv", "json"))
    found.add_argument("--rare-thing")
    found.add_argument("--pair", nargs=2)
    one = found.add_mutually_exclusive_group()
    one.add_argument("--quiet", action="store_true")
    one.add_argument("--loud", action="store_true")
    return found


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--epoch 3", "unknown option --epoch. Did you mean '--epochs'? ser try --help lists all options"),
        ("RUN --epochs ten", "--epochs is 'ten', expected a whole number. ser try --help lists all options"),
        ("RUN --epochs", "--epochs: expected a value, found none. ser try --help lists all options"),
        ("RUN --format cvs", "unknown --format 'cvs'. Did you mean 'csv'? Known: csv, json"),
        ("--epochs 3", "run is missing. ser try --help lists all options"),
        ("RUN --epochs 3 4", "'4' is unexpected behind --epochs 3. ser try --help lists all options"),
        ("RUN --quiet=1", "--quiet takes no value, found '1'. ser try --help lists all options"),
        (
            "RUN --quiet --loud",
            "--loud and --quiet exclude each other; give one of them. ser try --help lists all options",
        ),
        ("RUN --pair 1", "--pair: expected 2 values. ser try --help lists all options"),
        ("RUN --gone=1", "--gone was moved"),
        ("RUN --qqq", "unknown option --qqq. ser try --help lists all options"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_to_do(words, message):
    tried = parser()
    tried.gone["--gone"] = "was moved"
    for read in (tried.parse_args, tried.parse_intermixed_args):
        with pytest.raises(UserError) as error:
            read(words.split())
        assert str(error.value) == message


def test_options_of_a_sub_command_are_its_own():
    tried = Parser(prog="ser label")
    command = tried.add_subparsers(metavar="COMMAND", required=True).add_parser("next")
    command.add_argument("--count", type=int)
    assert tried.parse_args(["next", "--count", "3"]).count == 3
    with pytest.raises(UserError, match=r"unknown option --cuont. Did you mean '--count'\? ser label next --help"):
        tried.parse_args(["next", "--cuont", "3"])
    with pytest.raises(UserError, match=r"unknown command 'nxt'. Did you mean 'next'\? Known: next"):
        tried.parse_args(["nxt"])


def test_words_behind_two_hyphens_are_no_options():
    tried = Parser()
    tried.add_argument("audio", nargs="*")
    assert tried.parse_args(["a.wav", "--", "--epoch.wav", "--help"]).audio == ["a.wav", "--epoch.wav", "--help"]


def test_whole_numbers_are_apart_by_spaces_or_commas():
    tried = Parser(prog="ser try")
    tried.add_argument("--seeds", action=Numbers, nargs="+")
    assert (
        tried.parse_args(["--seeds", "0,1", "2"]).seeds
        == tried.parse_args(["--seeds", "0", "1", "2"]).seeds
        == [0, 1, 2]
    )
    for wrong in ("0,,1", "0.5", "a"):
        with pytest.raises(UserError, match=f"--seeds is '{wrong}', expected whole numbers. ser try --help"):
            tried.parse_args(["--seeds", wrong])


@pytest.mark.parametrize(
    ("command", "words", "now"),
    [
        ("predict", "RUN --stream --rate 8000", "--rate is now called --rate-hz"),
        ("predict", "RUN --stream --format s16le", "--format is now called --sample-format"),
        ("predict", "RUN --stream --window=2", "--window is now called --window-seconds"),
        ("export", "RUN --out X --max-seconds 9", "--max-seconds is now called --max-clip-seconds"),
        ("export", "RUN --out X --without-onnx", "--without-onnx is now called --forms keras"),
        ("label", "next --count 3", "--count is now called --clips"),
        ("quadrants", "a.csv --scale 1 5", "--scale is now called --rating-scale"),
        ("by_speakers", "--speakers 4 --on test", "--on is now called --side"),
    ],
)
def test_old_names_of_options_answer_with_the_new_one(script, command, words, now):
    assert script(f"{command}.py", *words.split()) == (2, "", f"error: {now}\n")


def helped(tried, capsys, *words):
    with pytest.raises(SystemExit) as ended:
        tried.parse_args(words)
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_short_help_has_examples_and_leaves_rare_options_to_help_all(capsys):
    tried = parser()
    tried.hide(("rare_thing",))
    short, whole = helped(tried, capsys, "--help"), helped(tried, capsys, "--help-all")
    assert "--rare-thing" not in short and "--rare-thing" in whole
    assert "--epochs N" in short and "    ser try --epochs 3" in short and "Long words." not in short
    assert "Long words." in whole and "ser try --help-all explains all 9 options" in short
    with pytest.raises(UserError, match="ser try --help-all lists all options"):
        tried.parse_args(["RUN", "--epoch"])


def test_help_of_a_network_has_the_options_that_have_an_effect_on_it(capsys):
    tried = Parser(prog="ser train")
    flags.add_flags(tried)
    svm = helped(tried, capsys, "--help", "--model", "egemaps_svm")
    assert "--complexities" in svm and "--epochs" not in svm and "--bands" not in svm
    blstm = helped(tried, capsys, "--model=attention_blstm", "--help")
    assert "--bands" in blstm and "--epochs" in blstm and "--complexities" not in blstm
    assert "--epochs" in helped(tried, capsys, "--help") and "--bands" in helped(tried, capsys, "--help-all")
    with pytest.raises(UserError, match=r"unknown model 'egemap_svm'\. Did you mean 'egemaps_svm'"):
        tried.parse_args(["--help", "--model", "egemap_svm"])
