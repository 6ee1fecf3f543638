"""Words of a command line that argparse would misread, and how a user's mistake is told."""

import pytest

from zoo.errors import UserError
from zoo.utils.cli import joined_values, run


@pytest.mark.parametrize(
    ("words", "joined"),
    [
        (["--level", "-0.1,0.05", "x.wav"], ["--level=-0.1,0.05", "x.wav"]),
        (["--level=-1,2"], ["--level=-1,2"]),
        (["--snr", "-5", "0"], ["--snr", "-5", "0"]),  # argparse reads plain numbers
        (["x,y.wav", "-.5,1", "-v"], ["x,y.wav", "-.5,1", "-v"]),
    ],
)
def test_a_list_that_begins_with_a_negative_number_is_joined_with_its_option(words, joined):
    assert joined_values(words) == joined


def test_a_message_does_not_act_on_the_terminal_and_keeps_the_lines_that_are_its_own(capsys):
    """The first line names a file called "x", escape, "[2J", line feed, "error: y"; below it is a layout."""

    def main():
        raise UserError("x\x1b[2J\nerror: y: no such file. Expected:", "a/\n  b\x9b.wav")

    with pytest.raises(SystemExit) as ended:
        run(main)
    shown = capsys.readouterr().err
    assert ended.value.code == 2
    assert shown == "error: x\\x1b[2J\\nerror: y: no such file. Expected:\na/\n  b\\x9b.wav\n"


def test_messages_name_commands_as_they_were_started(capsys, monkeypatch):
    def main():
        raise UserError("found a run; export it with scripts/export.py", "or: python scripts/serve_check.py DIR")

    shown = []
    for started in ("ser predict", "predict.py"):
        monkeypatch.setattr("sys.argv", [started])
        with pytest.raises(SystemExit):
            run(main)
        shown.append(capsys.readouterr().err)
    assert shown[0] == "error: found a run; export it with ser export\nor: ser serve-check DIR\n"
    assert shown[1] == "error: found a run; export it with scripts/export.py\nor: python scripts/serve_check.py DIR\n"
