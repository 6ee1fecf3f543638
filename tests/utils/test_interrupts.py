"""Ctrl-C ends a script with one line and exit code 130, wherever it comes; each script here is a process of its own."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from zoo.utils import interrupts

ROOT = Path(__file__).parents[2]
LINE = f"{interrupts.MESSAGE}\n"
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

START = """
from zoo.utils.cli import run
from zoo.utils import interrupts
import ctypes, os, time
interrupts._PATIENCE_SECONDS = 0.3

def ready():
    os.write(1, b"ready")  # no buffer
"""
SWALLOWED = "try:\n time.sleep(60)\nexcept BaseException:\n pass\n"
SLOW_MODULE = f"import os, time\nos.write(1, b'ready')\n{SWALLOWED}time.sleep(60)\n"
WHERE = {
    "plain work": "def main():\n ready()\n time.sleep(60)",
    "an import that swallows it": "def main():\n import slow_module",
    "a destructor, which cannot raise it": (
        "class Slow:\n def __del__(self):\n  ready()\n  time.sleep(60)\n"
        "def main():\n slow = Slow()\n del slow\n time.sleep(60)"
    ),
    "code that swallows it and goes on": "def main():\n ready()\n while True:\n  try:\n   time.sleep(60)\n"
    "  except KeyboardInterrupt:\n   pass",
    "a library that holds the interpreter": "def main():\n ready()\n ctypes.PyDLL(None).sleep(5)",
    "code that turns it into an error": "def main():\n try:\n  ready()\n  time.sleep(60)\n except BaseException:\n"
    "  1 / 0",
}


def interrupted(code, tmp_path, times=1, start=START):
    """Exit code and standard error of a script that is interrupted each time it says "ready"."""
    (tmp_path / "slow_module.py").write_text(SLOW_MODULE)
    environment = {"PYTHONPATH": f"{ROOT}:{tmp_path}", "PATH": "/usr/bin:/bin"}
    with subprocess.Popen(
        [sys.executable, "-c", start + code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        restore_signals=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # the tests may run without it
    ) as process:
        for _ in range(times):
            assert process.stdout.read(5) == b"ready"
            process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    return process.returncode, errors.decode()


@pytest.mark.parametrize("where", WHERE)
def test_ctrl_c_ends_with_one_line_and_130(where, tmp_path):
    assert interrupted(f"{WHERE[where]}\nrun(main)", tmp_path) == (130, LINE)


def test_ctrl_c_while_a_script_imports_ends_with_the_same_line(tmp_path):
    assert interrupted("import slow_module\nrun(print)", tmp_path) == (130, LINE)


def test_a_second_one_ends_what_still_clears_up(tmp_path):
    patient = START.replace("0.3", "60")
    code = "def main():\n try:\n  ready()\n  time.sleep(60)\n finally:\n  ready()\n  time.sleep(60)\nrun(main)"
    assert interrupted(code, tmp_path, times=2, start=patient) == (130, LINE)


def test_ctrl_c_after_the_work_keeps_its_exit_code(tmp_path):
    code = "import atexit\natexit.register(lambda: (ready(), time.sleep(60)))\nrun(lambda: 1)"
    assert interrupted(code, tmp_path) == (1, "")


def test_ctrl_c_while_the_interpreter_takes_itself_apart_keeps_the_exit_code(tmp_path):
    """By then Python has given the signal back to the system, which would kill the process without a word."""
    code = "class Last:\n def __del__(self, write=os.write, sleep=time.sleep):\n  write(1, b'ready')\n  sleep(0.5)\n"
    assert interrupted(f"{code}last = Last()\nrun(lambda: 1)", tmp_path) == (1, "")


def test_where_it_is_ignored_it_stays_ignored(tmp_path):
    """As by `nohup`, or in the background of a shell's script."""
    code = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n" + START
    done = "def main():\n ready()\n time.sleep(0.5)\nrun(main)"
    assert interrupted(done, tmp_path, start=code) == (0, "")


def test_every_script_takes_ctrl_c_before_it_imports_anything_else():
    starts = [*(ROOT / "scripts").glob("update_*.py"), ROOT / "bench" / "__main__.py"]
    starts += [ROOT / "zoo/distributed/worker.py", ROOT / "zoo/commands/start.py"]
    for path in starts:
        lines = [line for line in path.read_text().splitlines() if line.startswith(("import ", "from "))]
        assert lines[0].startswith("from zoo.utils.cli import run"), path
    for path in set((ROOT / "scripts").glob("*.py")) - set(starts):
        lines = [line for line in path.read_text().splitlines() if line.startswith(("import ", "from "))]
        assert lines == ["from zoo.commands.start import start"], path


def test_taking_ctrl_c_imports_nothing_slow():
    code = "import sys\nfrom zoo.utils.cli import run\nprint(*{name.split('.')[0] for name in sys.modules})"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"numpy", "keras", "sklearn", "tensorflow", "soundfile", "rich"} & set(ended.stdout.split())
