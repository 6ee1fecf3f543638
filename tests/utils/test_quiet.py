"""What libraries write to standard error: logs are held back, errors and crashes are not; --verbose shows all."""

import logging
import os
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest

from zoo.utils import quiet
from zoo.utils.log_filter import FINISHED, shown

ROOT = Path(__file__).parents[2]
# As TensorFlow 2.21 and 2.16 write them while they are imported.
LOGS = b"""WARNING: All log messages before absl::InitializeLog() is called are written to STDERR
I0000 00:00:1796090579.538880   16748 port.cc:153] oneDNN custom operations are on. You may see slightly different
I0000 00:00:1796090579.579687   16748 cpu_feature_guard.cc:227] This TensorFlow binary is optimized to use available
To enable the following instructions: AVX2 FMA, in other operations, rebuild TensorFlow with the appropriate flags.
W0000 00:00:1796090579.579687   16748 gpu_device.cc:2344] Cannot dlopen some GPU libraries.
2026-12-01 02:02:38.123456: I tensorflow/core/util/port.cc:153] oneDNN custom operations are on.
"""
ERROR = b"E0000 00:00:1796091032.599540   19636 cuda_platform.cc:52] failed call to cuInit: UNKNOWN ERROR (303)\n"
FATAL = b"F0000 00:00:1796091032.599540   19636 cpu.cc:5] The TensorFlow library was compiled to use AVX\n"
OTHER = b"I am no log\nImportError: libcuda.so\n"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (LOGS, b""),
        (LOGS + FINISHED, b""),
        (LOGS + OTHER + FINISHED, OTHER),
        (OTHER + LOGS + b"cut off", OTHER + b"cut off"),
        (ERROR + FINISHED, b""),  # of a library that was loaded nevertheless
        (LOGS + ERROR, ERROR),
        (LOGS + FATAL, FATAL),
        (FATAL + FINISHED, FATAL),
        (b"", b""),
    ],
)
def test_logs_are_held_back_and_all_else_is_shown(written, expected):
    assert shown(written) == expected


def test_what_is_no_log_comes_through_and_the_descriptor_is_as_before(capfd):
    before = os.fstat(2)
    with quiet.held_back():
        os.write(2, LOGS + OTHER)
        print("of Python", file=sys.stderr)
    print("afterwards", file=sys.stderr)
    assert os.fstat(2).st_ino == before.st_ino
    assert sorted(capfd.readouterr().err.encode().splitlines()) == sorted(
        [*OTHER.splitlines(), b"of Python", b"afterwards"]
    )


def test_an_error_of_the_body_shows_the_errors_of_the_log(capfd):
    with pytest.raises(ImportError, match="no such symbol"), quiet.held_back():
        os.write(2, LOGS + ERROR)
        raise ImportError("no such symbol")
    assert capfd.readouterr().err.encode() == ERROR


CRASH = """
import os, sys
from zoo.utils import interrupts, quiet
kept = []
with quiet.held_back():
    kept.append(sys.stderr)
    os.write(2, b"I0000 00:00:1.5 7 a.cc:1] info\\nE0000 00:00:1.5 7 a.cc:1] error\\n")
    if sys.argv[1] == "abort":
        os.write(2, b"F0000 00:00:1.5 7 a.cc:1] no AVX\\n")
        os.abort()
    if sys.argv[1] == "ctrl-c":
        interrupts.end_at_once()
    print("I0000 00:00:1.5 7 a.cc:1] by Python", file=sys.stderr)
print("by a logger that was made meanwhile", file=kept[0])
"""


@pytest.mark.parametrize(
    ("how", "code", "message"),
    [
        ("abort", -6, "E0000 00:00:1.5 7 a.cc:1] error\nF0000 00:00:1.5 7 a.cc:1] no AVX\n"),
        # At once, not when the filter comes to it:
        ("ctrl-c", 130, "interrupted; what was finished is kept\nE0000 00:00:1.5 7 a.cc:1] error\n"),
        ("end", 0, "I0000 00:00:1.5 7 a.cc:1] by Python\nby a logger that was made meanwhile\n"),
    ],
)
def test_a_crash_and_ctrl_c_lose_no_message(how, code, message):
    words = [sys.executable, "-c", CRASH, how]
    found = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, timeout=30)
    assert (found.returncode, found.stderr, found.stdout) == (code, message, "")


def test_without_standard_error_nothing_is_redirected(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    monkeypatch.setattr(subprocess, "Popen", None)
    with quiet.held_back():
        pass


@pytest.mark.parametrize(
    ("words", "left", "verbose"),
    [
        (["train", "--verbose", "--synthetic"], ["train", "--synthetic"], True),
        (["--verbose"], [], True),
        (["predict", "--", "--verbose"], ["predict", "--", "--verbose"], False),
        (["--verbose", "predict", "--", "--verbose"], ["predict", "--", "--verbose"], True),
        (["predict", "--verbosity"], ["predict", "--verbosity"], False),
    ],
)
def test_verbose_is_taken_from_anywhere_before_two_hyphens(words, left, verbose, monkeypatch):
    monkeypatch.setenv(quiet.VERBOSE_VARIABLE, "")
    assert quiet.without_flag(words) == left
    assert bool(os.environ[quiet.VERBOSE_VARIABLE]) is verbose


@pytest.mark.parametrize("verbose", [True, False])
def test_tensorflow_alone_is_imported_quietly_and_only_without_verbose(tmp_path, monkeypatch, capfd, verbose):
    """A package of this name that writes as TensorFlow does, found before the real one."""
    package = tmp_path / "tensorflow"
    package.mkdir()
    (package / "__init__.py").write_text(f"import os\nos.write(2, {LOGS!r})\nwritten = True\n")
    (tmp_path / "loud_module.py").write_text("import os\nos.write(2, b'I0000 00:00:1.5 7 a.cc:1] mine\\n')\n")
    monkeypatch.setattr(sys, "meta_path", [one for one in sys.meta_path if not isinstance(one, quiet._Quietly)])
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setenv(quiet.VERBOSE_VARIABLE, "1" if verbose else "")
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "")
    for name in [name for name in sys.modules if name.split(".")[0] == "tensorflow"]:
        monkeypatch.delitem(sys.modules, name)
    quiet.begin()
    quiet.begin()
    assert sum(isinstance(one, quiet._Quietly) for one in sys.meta_path) == (not verbose)
    import loud_module
    import tensorflow

    assert tensorflow.written and isinstance(loud_module.__loader__, SourceFileLoader)
    logs = (b"" if not verbose else LOGS).decode()
    assert capfd.readouterr().err == "I0000 00:00:1.5 7 a.cc:1] mine\n" + logs
    for name in ("tensorflow", "loud_module"):
        sys.modules.pop(name)  # monkeypatch puts back those that were there before


def test_loggers_of_libraries_show_errors_alone(monkeypatch):
    monkeypatch.setenv(quiet.VERBOSE_VARIABLE, "")
    quiet.begin()
    assert logging.getLogger("tensorflow").level == logging.getLogger("absl").level == logging.ERROR
