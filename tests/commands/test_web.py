"""ser web's command line: where it listens, when it asks for a token, and what it refuses."""

import re
import socket
import sys

import pytest

pytest.importorskip("uvicorn", reason="ser web needs the extra [web]")
from zoo.commands.web import main
from zoo.utils import cli, extras
from zoo.web import server


@pytest.fixture
def web(monkeypatch, capsys, tmp_path):
    """Runs ser web up to where it would serve; returns exit code, output, errors and what it would serve."""
    monkeypatch.chdir(tmp_path)
    served = []

    def note(api, listening, host, names):
        listening.close()
        served.append((api, host, names))

    monkeypatch.setattr(server, "serve", note)

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["ser web", "--port", "0", *words])
        with pytest.raises(SystemExit) as ended:
            cli.run(main)
        return ended.value.code, *capsys.readouterr(), served[-1] if served else None

    return run


def test_by_default_it_listens_here_and_needs_no_token(web, tmp_path):
    code, out, errors, (api, host, _) = web("--data", "mine", "--rater", "anna")
    assert code == 0 and re.match(r"open http://127\.0\.0\.1:\d+/ ", out) and host == "127.0.0.1"
    assert (api.token, api.rater) == ("", "anna") and str(tmp_path / "mine") in errors
    assert (tmp_path / "mine" / "audio").is_dir()


def test_elsewhere_it_makes_a_token_that_no_request_shows(web):
    _, out, _, (api, *_) = web("--host", "0.0.0.0")
    assert len(api.token) >= 32 and f"/#token={api.token}" in out  # behind #, which browsers do not send
    _, out, _, (other, *_) = web("--host", "0.0.0.0")
    assert other.token != api.token
    _, _, _, (given, *_) = web("--token", "sixteen-letters-", "--classes", "happy, sad")
    assert given.token == "sixteen-letters-" and given.classes == ("happy", "sad")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--token", "short"), "--token has 5 characters, expected 16 or more"),
        (("--port", "70000"), "--port is 70000, expected 0 to 65535"),
        (("--most-megabytes", "0"), "--most-megabytes is 0"),
        (("--model", "attention_blstm_fcn-ravdes"), "Did you mean 'attention_blstm_fcn-ravdess'?"),
        (("--model", "conv_lstm-standin"), "expected a model that gives classes, found one of continuous ratings"),
        (("--host", "256.1.1.1"), "cannot listen there"),
        (("--data", "/proc/nowhere"), "cannot be made or written"),
    ],
)
def test_what_cannot_be_is_one_message(web, words, expected):
    code, out, errors, served = web(*words)
    assert (code, out, served) == (2, "", None)
    assert expected in errors and errors.startswith("error: ") and errors.count("\n") == 1


def test_a_port_in_use_is_said(web):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, _, errors, _ = web("--port", str(taken.getsockname()[1]))
    assert code == 2 and "Give another --port" in errors


def test_a_missing_extra_is_noticed_before_anything_starts(web, monkeypatch, tmp_path):
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == "uvicorn" else name)
    code, _, errors, _ = web("--data", "mine")
    assert code == 2 and "pip install 'speech-emotion-zoo[web]'" in errors and not (tmp_path / "mine").exists()
