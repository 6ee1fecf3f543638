"""Label files: whole lines whatever happens to the writer, several writers at once, and tables that others changed."""

import csv
import errno
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from zoo.errors import UserError
from zoo.learning.labelling import label_file
from zoo.learning.labelling.label_file import Label, Segment, alike, append, clip_path, current, file_name, read, votes

HEADER = "file,start,end,channel,label,rater,source,confidence,time\n"
TIME = "2026-11-30T19:25:37Z"
ROOT = Path(__file__).parents[2]


def said(file="a.wav", label="angry", rater="anna", **values) -> Label:
    return Label(file, label, rater, **{"time": TIME, **values})


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "labels.csv"


@pytest.fixture
def notices() -> list[str]:
    return []


def test_lines_are_as_documented_and_read_back(path):
    machine = said(rater="runs/mine", source="model", start=0.5, end=2.25, channel=1, confidence=0.875)
    append(path, [said(), machine])
    append(path, [said(label="")])
    assert path.read_text() == (
        f"{HEADER}a.wav,0,,,angry,anna,human,,{TIME}\n"
        f"a.wav,0.5,2.25,1,angry,runs/mine,model,0.875,{TIME}\n"
        f"a.wav,0,,,,anna,human,,{TIME}\n"
    )
    assert read(path) == [said(), machine, said(label="")]
    assert list(path.parent.iterdir()) == [path]  # the lock is gone


def test_nothing_to_add_makes_no_file(path):
    append(path, [])
    assert not path.exists()


@pytest.mark.parametrize(
    "text", ["a,b", 'a "b"', "two\nlines", "=1+1", "-1", "'quoted", "\ufeffx", "né\u202e", "a\\b", "x\r"]
)
def test_every_text_is_read_back_and_acts_in_no_spreadsheet(path, text):
    row = said(file=f"{text}.wav", label=text, rater=text)
    append(path, [row, said()])
    assert read(path) == [row, said()]
    with path.open(newline="", encoding="utf-8") as file:  # an independent reader sees one line a label
        lines = list(csv.reader(file))
    assert [len(line) for line in lines] == [9, 9, 9] and path.read_text().count("\n") == 3
    assert not any(cell.startswith(("=", "+", "-", "@")) for line in lines for cell in line)


def test_names_of_files_that_are_no_utf8_are_read_back(path):
    name = os.fsdecode(b"caf\xe9.wav")
    append(path, [said(file=name)])
    assert os.fsencode(read(path)[0].file) == b"caf\xe9.wav"


def test_a_writer_killed_at_any_byte_loses_no_whole_line(path, notices, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: None)  # takes most of the test's time
    rows = [said(), said("b.wav", "sad, or so", confidence=0.5), said("c.wav", "happy")]
    append(path, rows)
    content = path.read_bytes()
    for size in range(len(content)):
        path.write_bytes(content[:size])
        whole = content[: size + 1].count(b"\n") - (size + 1 >= len(HEADER))  # a time that is whole ends a line
        kept = rows[:whole]
        notices.clear()
        assert read(path, notices.append) == kept
        torn = content[:size].rpartition(b"\n")[2]
        is_torn = bool(torn) and content[size : size + 1] != b"\n"
        assert len(notices) == is_torn and path.stat().st_size == size
        append(path, [said("d.wav", "calm")], on_notice=notices.append)
        assert read(path) == [*kept, said("d.wav", "calm")] and len(notices) == 2 * is_torn
        assert all("unfinished" in notice and "labels.csv" in notice for notice in notices)


def test_zeros_that_a_power_cut_leaves_at_the_end_are_cut_off(path, notices):
    append(path, [said()])
    with path.open("ab") as file:
        file.write(bytes(5000))
    assert read(path, notices.append) == [said()]
    append(path, [said("b.wav")], on_notice=notices.append)
    assert read(path) == [said(), said("b.wav")] and len(notices) == 2


KILLED = """
import sys
from pathlib import Path
from zoo.learning.labelling.label_file import Label, append
for number in range(10**6):
    append(Path(sys.argv[1]), [Label(f"{number}.wav", "angry", "anna")])
    print(number, flush=True)
"""
WRITER = """
import sys
from pathlib import Path
from zoo.learning.labelling.label_file import Label, append
path, rater = Path(sys.argv[1]), sys.argv[2]
for number in range(10):
    append(path, [Label(f"{number}.wav", label, rater) for label in ("angry", "sad")])
"""


def start(program, *words):
    command = [sys.executable, "-c", program, *map(str, words)]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True)


def test_kill_9_keeps_every_label_that_was_confirmed(path):
    writer = start(KILLED, path)
    confirmed = [int(writer.stdout.readline()) for _ in range(20)]
    writer.send_signal(signal.SIGKILL)
    confirmed += [int(line) for line in writer.stdout.read().split("\n") if line.isdigit()]
    writer.wait()
    append(path, [said("last.wav")], on_notice=lambda _: None)  # the lock of the killed one does not hold
    files = [row.file for row in read(path)]
    assert files[: len(confirmed)] == [f"{number}.wav" for number in confirmed] and files[-1] == "last.wav"


def test_processes_at_once_lose_nothing(path):
    writers = [start(WRITER, path, rater) for rater in "abcd"]
    assert [writer.wait() for writer in writers] == [0] * 4
    rows = read(path)
    for rater in "abcd":  # pairs of one write stay together, in order
        theirs = [(row.file, row.label) for row in rows if row.rater == rater]
        assert theirs == [(f"{number}.wav", label) for number in range(10) for label in ("angry", "sad")]
    assert [row.label for row in rows] == ["angry", "sad"] * 40


def test_a_full_disk_leaves_the_file_as_it_was(path, monkeypatch):
    append(path, [said()])
    before = path.read_bytes()

    def write_a_part(file, data):
        os.write(file.fileno(), data[:7])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(label_file, "_write", write_a_part)
    with pytest.raises(UserError, match=r"labels\.csv: cannot be written \(No space left on device\); .* free space"):
        append(path, [said("b.wav")])
    assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]


def test_a_read_only_file_is_refused(path, monkeypatch):
    append(path, [said()])
    opened = Path.open

    def refuse(self, mode="r", *rest, **named):
        if "a" in mode:
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return opened(self, mode, *rest, **named)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UserError, match=r"labels\.csv: cannot be written \(Permission denied\); see its permissions"):
        append(path, [said("b.wav")])
    assert read(path) == [said()]


def test_a_file_that_another_process_holds_is_refused_in_the_end(path, monkeypatch):
    monkeypatch.setattr(label_file, "PATIENCE_SECONDS", 0.1)
    with label_file._alone(path), pytest.raises(UserError, match="another process"):
        append(path, [said()])


def test_what_a_spreadsheet_changes_is_understood(path):
    lines = [
        HEADER.strip(),
        'a.wav,0.50,"1.5",,"angry",anna,human,,2026-11-30 19:25:37',
        ",,,,,,,,",
        "",
        f"b.wav,,,0,sad,m,model,1,{TIME}",
    ]
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode() + b"\r\n")
    first = said(start=0.5, end=1.5, time="2026-11-30 19:25:37")
    expected = [first, said("b.wav", "sad", "m", source="model", channel=0, confidence=1)]
    assert read(path) == expected
    append(path, [said("c.wav")])
    assert read(path) == [*expected, said("c.wav")]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a.wav,0,,,angry,anna,human", "expected 9 cells .*, found 7"),
        (f"a.wav,0,,,angry,anna,human,,{TIME},more", "expected 9 cells .*, found 10"),
        (f'a.wav,0,,,"angry,anna,human,,{TIME}', "unexpected end of data"),
        (f"a.wav,zero,,,angry,anna,human,,{TIME}", "start: expected a number, .* found 'zero'"),
        (f'a.wav,"0,5",,,angry,anna,human,,{TIME}', "start: expected a number, .* found '0,5'"),
        (f"a.wav,nan,,,angry,anna,human,,{TIME}", "expected seconds from 0, found nan"),
        (f"a.wav,2,1,,angry,anna,human,,{TIME}", "end: expected more than the start, 2 s, found 1 s"),
        (f"a.wav,-1,,,angry,anna,human,,{TIME}", "expected seconds from 0, found -1.0"),
        (f"a.wav,0,,left,angry,anna,human,,{TIME}", "channel: expected a whole number or nothing, found 'left'"),
        (f"a.wav,0,,-1,angry,anna,human,,{TIME}", "channel: expected a whole number from 0"),
        (f"a.wav,0,,,angry,,human,,{TIME}", "rater: expected a text"),
        (f",0,,,angry,anna,human,,{TIME}", "file: expected a text"),
        (f"../a.wav,0,,,angry,anna,human,,{TIME}", "file: expected a name below the label file's folder"),
        (f"a.wav,0,,,angry,anna,robot,,{TIME}", "source: expected human or model, found 'robot'"),
        (f"a.wav,0,,,angry,anna,human,1.5,{TIME}", "confidence: expected 0 to 1"),
        ("a.wav,0,,,angry,anna,human,,yesterday", "time: expected one such as 2026-11-30T19:25:37Z, found 'yesterday'"),
        (f"a.wav,0,,,ang\0ry,anna,human,,{TIME}", "found NUL bytes"),
    ],
)
def test_damaged_lines_are_refused_by_number(path, line, expected):
    good = f"a.wav,0,,,angry,anna,human,,{TIME}\n"
    path.write_text(f"{HEADER}{good}{line}\n{good}")
    with pytest.raises(UserError, match=rf"labels\.csv, line 3: .*{expected}.*Repair or remove the line"):
        read(path)


def test_several_damaged_lines_are_named_and_bytes_that_are_no_utf8(path):
    path.write_bytes(HEADER.encode() + b"caf\xe9.wav,0,,,angry,anna,human,,\n" + b"x\n" * 9)
    with pytest.raises(UserError, match=r"line 2: .*10 lines are damaged") as error:
        read(path)
    assert re.findall(r"line (\d+)", str(error.value)) == list("23456")


@pytest.mark.parametrize(
    "content",
    [
        "file,speaker,emotion\na.wav,1,sad\n",
        HEADER.replace(",", ";"),
        HEADER.replace("\n", ",notes\n"),
        "hello",
        "RIFF\0\0",
        "\n",
        f"{HEADER}a.wav,0,,,sad,anna,human,,{TIME}\n".replace("\n", "\r"),
    ],
)
def test_files_of_other_programs_are_refused_and_kept(path, content):
    path.write_text(content, newline="")
    for use in (read, lambda path: append(path, [said()])):
        with pytest.raises(UserError, match=r"labels\.csv: expected a label file, whose first line is file,start,"):
            use(path)
    assert path.read_bytes() == content.encode()


def test_utf16_is_refused(path):
    path.write_text(HEADER, encoding="utf-16")
    with pytest.raises(UserError, match="in UTF-8"):
        read(path)


def test_folders_pipes_and_absent_files_are_refused(path):
    with pytest.raises(UserError, match=r"labels\.csv: expected a label file, but No such file"):
        read(path)
    os.mkfifo(path.with_name("pipe"))
    for place, found in ((path.parent, "a folder"), (path.with_name("pipe"), "a pipe or a device")):
        for use in (read, lambda place: append(place, [said()])):
            with pytest.raises(UserError, match=f"expected a label file, found {found}"):
                use(place)


def test_a_long_end_without_a_line_feed_is_damage_not_a_torn_line(path):
    path.write_text(HEADER + "x" * 300_000)
    with pytest.raises(UserError, match="repair"):
        append(path, [said()])
    with pytest.raises(UserError, match="line 2"):
        read(path)
    assert path.stat().st_size == len(HEADER) + 300_000


def test_the_last_word_of_each_rater_holds_and_empty_labels_take_back():
    rows = [
        said(),
        said(label="sad", rater="bert"),
        said(label="happy"),  # anna again
        said(rater="bert", source="model"),  # a model of that name is another rater
        said(start=1.0),
        said(channel=0, label="calm"),
        said(label="sad", rater="bert").taken_back(),
    ]
    found = current(rows)
    assert [(row.rater, row.label, row.source) for row in found] == [
        ("anna", "happy", "human"),
        ("bert", "angry", "model"),
        ("anna", "angry", "human"),
        ("anna", "calm", "human"),
    ]
    assert current([*rows, said(label="fear", rater="bert")])[1].label == "fear"  # said again after it was taken back
    assert votes(rows) == {
        Segment("a.wav"): {"happy": 1},
        Segment("a.wav", 1.0): {"angry": 1},
        Segment("a.wav", channel=0): {"calm": 1},
    }
    assert votes(rows, "model") == {Segment("a.wav"): {"angry": 1}}
    assert votes([said(), said(rater="bert")]) == {Segment("a.wav"): {"angry": 2}}


def test_labels_are_of_the_wanted_classes(path):
    with pytest.raises(UserError, match=r"unknown label 'angri'\. Did you mean 'angry'"):
        append(path, [said(), said(label="angri")], classes=("angry", "sad"))
    assert not path.exists()
    append(path, [said(), said(label="")], classes=("angry", "sad"))


def test_raters_of_one_name_in_other_case_are_found():
    assert alike([said(), said(rater="Anna "), said(rater="bert"), said(rater="ANNA")]) == [["ANNA", "Anna", "anna"]]


def test_clips_are_named_relative_to_the_label_file(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert file_name(Path("labels.csv"), Path("sub/../clips/a.wav")) == "clips/a.wav"
    assert file_name(Path("mine/labels.csv"), Path("clips/a.wav")) == f"{tmp_path}/clips/a.wav"
    assert clip_path(path, "clips/a.wav") == tmp_path / "clips" / "a.wav"
    assert clip_path(path, "/data/a.wav") == Path("/data/a.wav")
    assert said("./clips//a.wav").file == "clips/a.wav"
