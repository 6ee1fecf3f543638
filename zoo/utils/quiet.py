"""Keep the logs of TensorFlow and other libraries off standard error, unless the command line has --verbose.

Most of them heed a variable or a logger. TensorFlow also writes some lines while it is imported, before it heeds any:
meanwhile, what C++ writes to file descriptor 2 goes through zoo.utils.log_filter. Python's own messages do not.
"""

import importlib.machinery
import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from zoo.utils import interrupts, log_filter

VERBOSE_VARIABLE = "SPEECH_ZOO_VERBOSE"  # a variable, so that processes started by this one know too
_FLAG = "--verbose"


def without_flag(words: Sequence[str]) -> list[str]:
    """Return the words of a command line without --verbose, which is noted for `begin` and for other processes.

    Behind "--" words are no options.
    """
    end = words.index("--") if "--" in words else len(words)
    if _FLAG in words[:end]:
        os.environ[VERBOSE_VARIABLE] = "1"
    return [word for number, word in enumerate(words) if number >= end or word != _FLAG]


def begin() -> None:
    """Silence the libraries that this process will import, unless --verbose was given."""
    if os.environ.get(VERBOSE_VARIABLE):
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for name in ("tensorflow", "absl", "jax", "tf2onnx"):
        logging.getLogger(name).setLevel(logging.ERROR)
    if not any(isinstance(finder, _Quietly) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Quietly())


@contextmanager
def held_back() -> Iterator[None]:
    """Pass what the body writes to file descriptor 2 through zoo.utils.log_filter, but for what Python writes.

    The filter gets everything where the body raises, or the process crashes in it.
    """
    if sys.stderr is None:  # closed by whoever started this process: 2 may be another file
        yield
        return
    sys.stderr.flush()
    stderr, own, is_replaced = os.dup(2), sys.stderr, sys.stderr is not sys.__stderr__
    words = [sys.executable, "-I", "-S", log_filter.__file__]
    # A session of its own: the Ctrl-C that ends this process is not for it.
    reader = subprocess.Popen(words, stdin=subprocess.PIPE, stderr=stderr, start_new_session=True)
    assert reader.stdin
    os.dup2(reader.stdin.fileno(), 2)
    reader.stdin.close()
    interrupts.stderr = stderr
    if not is_replaced:
        # Never closed: loggers that are made meanwhile keep it.
        sys.stderr = os.fdopen(stderr, "w", buffering=1, encoding=own.encoding, errors=own.errors, closefd=False)
    try:
        yield
        os.write(2, log_filter.FINISHED)
    finally:
        sys.stderr, interrupts.stderr = own, 2
        os.dup2(stderr, 2)
        reader.wait()


class _Quietly:
    """Finds TensorFlow where the other finders do, and holds back what it writes while it is imported."""

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> Any:
        if name != "tensorflow":
            return None
        others = (finder.find_spec(name, path, target) for finder in sys.meta_path if finder is not self)
        spec = next((spec for spec in others if spec), None)
        if spec and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            load = spec.loader.exec_module

            def quietly(module: ModuleType) -> None:
                with held_back():
                    load(module)

            spec.loader.exec_module = quietly  # type: ignore[method-assign]
        return spec
