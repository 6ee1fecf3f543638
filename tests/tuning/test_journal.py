"""The journal keeps its events when a file is damaged, opened twice, or the disk is full."""

import json
import multiprocessing
import resource
import zlib
from contextlib import closing

import pytest

from tuning.journal import NAMES, Journal, read
from zoo.errors import UserError

EVENTS = [
    {"event": "search", "seed": 0, "space": {"b": [1, None], "a": {"low": 1e-4, "high": 0.1}}},
    {"event": "trials", "trials": 3},
    {"event": "finished", "trial": "0001", "score": 0.1 + 0.2, "reason": "ä\nb"},
    {"event": "finished", "trial": "0002", "score": None},
]


@pytest.fixture
def folder(tmp_path):
    with closing(Journal(tmp_path, EVENTS[:2])) as journal:
        for event in EVENTS[2:]:
            journal.append(event)
    return tmp_path


def test_checksum_is_crc32_of_the_canonical_json_chained(folder):
    assert list(read(folder)[0]["space"]) == ["b", "a"]  # keys keep their order
    checksum = 0
    for line in (folder / NAMES[0]).read_text().splitlines():
        event = json.loads(line)
        found = event.pop("crc32")
        checksum = zlib.crc32(json.dumps(event, sort_keys=True, separators=(",", ":")).encode(), checksum)
        assert found == checksum


@pytest.mark.parametrize("damaged", NAMES)
def test_one_damaged_or_missing_file_loses_nothing(folder, damaged):
    whole = (folder / damaged).read_bytes()
    for position in range(0, len(whole), 5):
        flipped = [whole[:position] + bytes([whole[position] ^ bit]) + whole[position + 1 :] for bit in (1, 128)]
        for content in (whole[:position], *flipped):
            (folder / damaged).write_bytes(content)
            assert read(folder) == EVENTS
    Journal(folder).close()
    assert (folder / damaged).read_bytes() == whole
    (folder / damaged).unlink()
    with closing(Journal(folder)) as journal:
        journal.append(EVENTS[1])
    assert (folder / NAMES[0]).read_bytes() == (folder / NAMES[1]).read_bytes()
    assert read(folder) == [*EVENTS, EVENTS[1]]


def test_two_damaged_files_continue_from_the_longer_valid_part(folder):
    lines = (folder / NAMES[0]).read_bytes().splitlines(keepends=True)
    (folder / NAMES[0]).write_bytes(b"".join(lines[:3]) + lines[3][:-9])
    (folder / NAMES[1]).write_bytes(lines[0] + lines[2])  # the second is missing
    assert read(folder) == EVENTS[:3]
    with closing(Journal(folder)) as journal:
        journal.append(EVENTS[3])
    assert (folder / NAMES[0]).read_bytes() == (folder / NAMES[1]).read_bytes() == b"".join(lines)


def test_no_search_a_second_and_a_damaged_one_are_refused(folder, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(UserError, match="no search is here"):
        Journal(empty)
    assert list(empty.iterdir()) == []
    with pytest.raises(UserError, match="expected no search, found one"):
        Journal(folder, EVENTS[:1])
    Journal(folder).close()  # the refused one has let go
    for name in NAMES:
        (folder / name).write_bytes(b"{" + (folder / name).read_bytes())
    with pytest.raises(UserError, match="neither with a valid first line"):
        Journal(folder)


def test_journal_is_locked_until_its_process_dies(folder):
    def hold(pipe):
        journal = Journal(folder)
        pipe.send(journal.events)
        pipe.recv()

    fork = multiprocessing.get_context("fork")
    here, there = fork.Pipe()
    child = fork.Process(target=hold, args=(there,))
    child.start()
    here.recv()
    with pytest.raises(UserError, match="another process is at work"):
        Journal(folder)
    assert read(folder) == EVENTS
    child.kill()
    child.join()
    Journal(folder).close()


def test_full_disk_leaves_files_and_events_unchanged(folder):
    journal = Journal(folder)
    before = (folder / NAMES[0]).read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 5, hard))
    try:
        with pytest.raises(UserError, match=r"search\.jsonl: cannot be written \(File too large\)"):
            journal.append({"event": "trials", "trials": 4})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert journal.events == EVENTS
    assert {(folder / name).read_bytes() for name in NAMES} == {before}
    journal.append(EVENTS[1])
    assert read(folder) == [*EVENTS, EVENTS[1]]
