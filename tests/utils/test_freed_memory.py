"""Freed memory is kept, as the operating system counts it, in a process of its own."""

import ctypes
import subprocess
import sys

import pytest

from zoo.utils import freed_memory

FAULTS = """
import ctypes, resource, sys, threading
from zoo.utils import freed_memory
if sys.argv[1] == "kept":
    assert freed_memory.keep()
library = ctypes.CDLL(None)
library.malloc.restype = ctypes.c_void_p
library.free.argtypes = (ctypes.c_void_p,)
def use():
    block = library.malloc(ctypes.c_size_t(2**27))
    ctypes.memset(block, 1, 2**27)
    library.free(block)
def count():
    use()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    use()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
thread = threading.Thread(target=count)
thread.start()
thread.join()
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="the C library is not glibc")
def test_a_large_block_is_not_fetched_anew_in_another_thread():
    def faults(how):
        command = [sys.executable, "-c", FAULTS, how]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert faults("kept") < 100
    assert faults("returned") > 20_000  # pages of 4 KiB, of 128 MiB


def test_elsewhere_nothing_is_changed(monkeypatch):
    monkeypatch.setattr(freed_memory.sys, "platform", "darwin")
    monkeypatch.setattr(freed_memory.ctypes, "CDLL", lambda name: pytest.fail("the C library was opened"))
    assert not freed_memory.keep()
