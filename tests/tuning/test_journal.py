"""The journal keeps its events when a file is damaged, a second process opens it, or the disk is full."""

import json
import multiprocessing
import resource
import zlib

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
    journal = Journal(tmp_path, EVENTS[:2])
    for event in EVENTS[2:]:
        journal.append(event)
    journal.close()
    return tmp_path


def test_events_and_their_keys_are_read_in_order(folder):
    assert read(folder) == EVENTS
    assert [list(event) for event in read(folder)] == [list(event) for event in EVENTS]
    assert list(read(folder)[0]["space"]) == ["b", "a"]
    assert len({(folder / name).read_bytes() for name in NAMES}) == 1


def test_checksum_is_crc32_of_the_canonical_json_chained(folder):
    checksum = 0
    for line in (folder / NAMES[0]).read_text().splitlines():
        event = json.loads(line)
        found = event.pop("crc32")
        checksum = zlib.crc32(json.dumps(event, sort_keys=True, separators=(",", ":")).encode(), checksum)
        assert found == checksum


@pytest.mark.parametrize("damaged", NAMES)
def test_one_damaged_or_missing_file_loses_nothing(folder, damaged):
    whole = (folder / damaged).read_bytes()
    for position in range(len(whole)):
        flipped = [whole[:position] + bytes([whole[position] ^ bit]) + whole[position + 1 :] for bit in (1, 128)]
        for content in (whole[:position], *flipped):
            (folder / damaged).write_bytes(content)
            assert read(folder) == EVENTS
    Journal(folder).close()
    assert (folder / damaged).read_bytes() == whole
    (folder / damaged).unlink()
    journal = Journal(folder)
    journal.append({"event": "trials", "trials": 9})
    journal.close()
    assert (folder / NAMES[0]).read_bytes() == (folder / NAMES[1]).read_bytes()
    assert read(folder) == [*EVENTS, {"event": "trials", "trials": 9}]


def test_two_damaged_files_continue_from_the_longer_valid_part(folder):
    lines = (folder / NAMES[0]).read_bytes().splitlines(keepends=True)
    (folder / NAMES[0]).write_bytes(b"".join(lines[:3]) + lines[3][:-9])
    (folder / NAMES[1]).write_bytes(lines[0] + lines[2])  # a line is missing between: what follows does not fit
    assert read(folder) == EVENTS[:3]
    journal = Journal(folder)
    journal.append(EVENTS[3])
    journal.close()
    assert (folder / NAMES[0]).read_bytes() == (folder / NAMES[1]).read_bytes() == b"".join(lines)


def test_two_files_without_a_valid_first_line_are_refused(folder):
    for name in NAMES:
        (folder / name).write_bytes(b"{" + (folder / name).read_bytes())
    with pytest.raises(UserError, match="neither with a valid first line"):
        Journal(folder)


def test_folder_without_a_search_and_second_search_are_refused(folder, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(UserError, match="no search is here"):
        Journal(empty)
    assert list(empty.iterdir()) == []
    with pytest.raises(UserError, match="expected no search, found one"):
        Journal(folder, EVENTS[:1])
    Journal(folder).close()  # the refused one has let go


def test_journal_is_locked_until_its_process_dies(folder):
    def hold(pipe):
        Journal(folder)
        pipe.send(True)
        pipe.recv()

    here, there = multiprocessing.get_context("fork").Pipe()
    child = multiprocessing.get_context("fork").Process(target=hold, args=(there,))
    child.start()
    here.recv()
    with pytest.raises(UserError, match="another process is at work"):
        Journal(folder)
    assert read(folder) == EVENTS
    child.kill()
    child.join()
    Journal(folder).close()


@pytest.mark.parametrize("room", [0, 5])
def test_full_disk_leaves_files_and_events_unchanged(folder, room):
    journal = Journal(folder)
    before = (folder / NAMES[0]).read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + room, hard))
    try:
        with pytest.raises(UserError, match=r"search\.jsonl: cannot be written \(File too large\)"):
            journal.append({"event": "trials", "trials": 4})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert journal.events == EVENTS
    assert {(folder / name).read_bytes() for name in NAMES} == {before}
    journal.append({"event": "trials", "trials": 5})
    journal.close()
    assert read(folder) == [*EVENTS, {"event": "trials", "trials": 5}]
