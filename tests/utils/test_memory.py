"""Memory that is free, of the machine and of its container."""

import pytest

from zoo.errors import UserError
from zoo.utils import memory


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with 8 GiB, whose container may take 4 GiB and holds 3, of which 1 is caches."""
    (tmp_path / "meminfo").write_text("MemTotal: 16777216 kB\nMemAvailable:    8388608 kB\n")
    (tmp_path / "memory.max").write_text(f"{4 * 2**30}\n")
    (tmp_path / "memory.current").write_text(f"{3 * 2**30}\n")
    (tmp_path / "memory.stat").write_text(
        f"anon 5\ninactive_file {2**29}\nactive_file {2**28}\nslab_reclaimable {2**28}\n"
    )
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_GROUP", tmp_path)
    return tmp_path


def test_the_smaller_of_machine_and_container_counts(machine):
    assert memory.free_bytes() == 2 * 2**30
    (machine / "memory.max").write_text("max\n")
    assert memory.free_bytes() == 8 * 2**30


def test_what_fits_begins_and_more_is_refused(machine):
    memory.check("work", 2 * 2**30, "Take less")
    with pytest.raises(UserError, match=r"^work: expected 2\.5 GiB of free memory, found 2\.0 GiB\. Take less$"):
        memory.check("work", 2.5 * 2**30, "Take less")


def test_systems_that_do_not_say_are_not_checked(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "absent")
    monkeypatch.setattr(memory, "_GROUP", tmp_path / "absent")
    assert memory.free_bytes() is None
    memory.check("work", 2**60, "Take less")
