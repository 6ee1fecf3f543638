"""The journal against files damaged byte by byte, a second process, and a full disk."""

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
    journal = Journal.create(tmp_path, EVENTS[:2])
    for event in EVENTS[2:]:
        journal.append(event)
    journal.close()
    return tmp_path


def test_events_come_back_in_order_and_names_too(folder):
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
def test_one_file_cut_at_any_byte_loses_nothing(folder, damaged):
    whole = (folder / damaged).read_bytes()
    for length in range(len(whole)):
        (folder / damaged).write_bytes(whole[:length])
        assert read(folder) == EVENTS
    Journal.open(folder).close()
    assert (folder / damaged).read_bytes() == whole


@pytest.mark.parametrize("damaged", NAMES)
def test_one_file_with_any_byte_changed_or_none_at_all_loses_nothing(folder, damaged):
    whole = (folder / damaged).read_bytes()
    for position in range(len(whole)):
        for bit in (1, 128):
            content = bytearray(whole)
            content[position] ^= bit
            (folder / damaged).write_bytes(content)
            assert read(folder) == EVENTS
    (folder / damaged).unlink()
    journal = Journal.open(folder)
    assert journal.events == EVENTS
    journal.append({"event": "trials", "trials": 9})
    journal.close()
    assert (folder / NAMES[0]).read_bytes() == (folder / NAMES[1]).read_bytes()
    assert read(folder)[-1]["trials"] == 9


def test_both_damaged_go_on_from_the_longer_valid_beginning(folder):
    lines = (folder / NAMES[0]).read_bytes().splitlines(keepends=True)
    (folder / NAMES[0]).write_bytes(b"".join(lines[:3]) + lines[3][:-9])
    (folder / NAMES[1]).write_bytes(lines[0] + lines[2])  # a line is missing between: what follows does not fit
    assert read(folder) == EVENTS[:3]
    journal = Journal.open(folder)
    journal.append(EVENTS[3])
    journal.close()
    assert (folder / NAMES[0]).read_bytes() == (folder / NAMES[1]).read_bytes() == b"".join(lines)


def test_both_without_a_first_line(folder):
    for name in NAMES:
        (folder / name).write_bytes(b"{" + (folder / name).read_bytes())
    with pytest.raises(UserError, match="neither with a valid first line"):
        Journal.open(folder)


def test_no_search_and_a_second_search(folder, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(UserError, match="no search is here"):
        Journal.open(empty)
    assert list(empty.iterdir()) == []
    with pytest.raises(UserError, match=r"without a search, found search\.jsonl"):
        Journal.create(folder, EVENTS[:1])
    Journal.open(folder).close()  # the refused one has let go


def test_a_second_process_is_kept_out_until_the_first_dies(folder):
    def hold(pipe):
        Journal.open(folder)
        pipe.send(True)
        pipe.recv()

    here, there = multiprocessing.get_context("fork").Pipe()
    child = multiprocessing.get_context("fork").Process(target=hold, args=(there,))
    child.start()
    here.recv()
    with pytest.raises(UserError, match="another process is at work"):
        Journal.open(folder)
    assert read(folder) == EVENTS
    child.kill()
    child.join()
    Journal.open(folder).close()


@pytest.mark.parametrize("room", [0, 5])
def test_a_full_disk_leaves_files_and_events_as_they_were(folder, room):
    journal = Journal.open(folder)
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
