"""Recordings by a pipe: read whole, or refused within bounds on time and bytes."""

import os
import threading
import time
from pathlib import Path

import pytest

from zoo.data.audio import pipes
from zoo.errors import UserError

CONTENT = bytes(range(256)) * 1000  # more than a pipe holds


@pytest.fixture
def fifo(tmp_path):
    os.mkfifo(tmp_path / "in")
    return tmp_path / "in"


def write(path, blocks, pause=0.0, stay=0.0):
    """Write in a thread; a reader that goes away ends it."""

    def run():
        try:
            with path.open("wb", buffering=0) as file:
                for block in blocks:
                    file.write(block)
                    time.sleep(pause)
                time.sleep(stay)
        except OSError:
            pass

    threading.Thread(target=run, daemon=True).start()


def copied(pipe, tmp_path):
    pipes.copy(pipe, tmp_path / "copy")
    return (tmp_path / "copy").read_bytes()


@pytest.mark.parametrize("begin_first", [True, False])
@pytest.mark.parametrize("blocks", [[CONTENT], [CONTENT[:1], CONTENT[1:]], [b"x"] * 99, []])
def test_a_named_pipe_is_read_to_its_end(fifo, tmp_path, blocks, begin_first):
    if begin_first:
        write(fifo, blocks)
        time.sleep(0.02)
    else:
        threading.Timer(0.05, write, (fifo, blocks)).start()
    assert pipes.is_pipe(fifo)
    assert copied(fifo, tmp_path) == b"".join(blocks)


@pytest.mark.parametrize("name", ["/dev/fd/{}", "/proc/self/fd/{}"])
@pytest.mark.parametrize("content", [b"", CONTENT[:1000]])
def test_a_pipe_of_this_process_whose_writer_has_gone_is_at_its_end(tmp_path, name, content):
    read, write = os.pipe()
    os.write(write, content)
    os.close(write)
    path = Path(name.format(read))
    assert pipes.is_pipe(path)
    assert copied(path, tmp_path) == content
    os.close(read)


def test_a_file_opened_by_the_shell_is_read_as_a_pipe(tmp_path):
    """As /dev/stdin after `< clip.wav`, which means another file in every process."""
    (tmp_path / "x").write_bytes(CONTENT)
    with (tmp_path / "x").open("rb") as file:
        path = Path(f"/dev/fd/{file.fileno()}")
        assert pipes.is_pipe(path) and not pipes.is_pipe(tmp_path / "x")
        assert copied(path, tmp_path) == CONTENT


def test_writers_that_never_write_stop_or_never_end_are_refused(fifo, tmp_path, monkeypatch):
    monkeypatch.setattr(pipes, "MOST_PAUSE_SECONDS", 0.2)
    monkeypatch.setattr(pipes, "MOST_SECONDS", 0.5)
    monkeypatch.setattr(pipes, "MOST_BYTES", 1 << 20)

    def refused(found):
        begin = time.monotonic()
        with pytest.raises(UserError, match=rf"^{fifo}: expected a recording that ends, found {found}"):
            pipes.copy(fifo, tmp_path / "copy")
        assert time.monotonic() - begin < 2

    refused("0.2 s without a byte")  # nobody opens it
    write(fifo, [], stay=1)
    refused("0.2 s without a byte")
    write(fifo, [b"RIFF"], stay=1)
    refused("0.2 s without a byte")
    write(fifo, [b"x"] * 100, pause=0.05)
    refused("no end after 0.5 s")
    write(fifo, [bytes(1 << 16)] * 100)
    refused("more than 1 MiB")


def test_a_pipe_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(UserError, match=r"/dev/fd/999: the pipe cannot be read .*Bad file descriptor"):
        pipes.copy(Path("/dev/fd/999"), tmp_path / "copy")
