"""Files are found in folders; nothing that may be audio is left out without a word."""

import os
import socket

import numpy as np
import pytest
import soundfile

from zoo.data.audio import find
from zoo.data.audio.formats import FORMATS, OTHER_SUFFIXES, READABLE_SUFFIXES
from zoo.errors import UserError


def found(*places, pipes=False):
    """Return the names of the files, and the messages by the names of what cannot be used."""
    bad = {}
    files = find.audio_files(list(map(str, places)), bad.setdefault, pipes)
    return [str(path) for path in files], bad


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def test_every_format_that_is_read_has_a_suffix():
    """soundfile names the formats by their usual suffixes, but for these."""
    usual = {"WAVEX": ".wav", "OGG": ".oga", "NIST": ".sph"}
    for name in FORMATS:
        assert usual.get(name, f".{name.lower()}") in READABLE_SUFFIXES
    assert not set(READABLE_SUFFIXES) & set(OTHER_SUFFIXES)
    assert {".opus", ".oga", ".wave", ".bwf", ".rf64", ".aifc", ".snd"} <= set(READABLE_SUFFIXES)


def test_files_that_may_be_audio_are_found_others_are_not(folder):
    audio = [f"a{suffix}" for suffix in (*READABLE_SUFFIXES, *OTHER_SUFFIXES, ".WAV", ".M4A", ".Opus")]
    for name in [*audio, "labels.txt", "labels.csv", "x.json", "x.png", "._a.wav", "LICENSE", ".DS_Store"]:
        (folder / name).write_bytes(b"text")
    assert found(folder) == (sorted(str(folder / name) for name in audio), {})


def test_files_without_a_suffix_are_known_by_their_content(folder):
    soundfile.write(folder / "voice", np.zeros(99), 16_000, format="WAV")
    soundfile.write(folder / ".note", np.zeros(99), 16_000, format="FLAC")
    (folder / "archive").write_bytes(b"PK\x03\x04" + bytes(60))
    (folder / "README").write_text("Wav files of speech\n")
    (folder / "short").write_bytes(b"R")
    assert found(folder) == ([str(folder / ".note"), str(folder / "voice")], {})


def test_links_and_special_files_are_named(folder, tmp_path):
    """Links to files are followed; a link that leads round in a circle is one to a folder."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "b.wav").touch()
    (folder / "good.wav").symlink_to(tmp_path / "other" / "b.wav")
    (folder / "round").symlink_to(folder)
    (folder / "away").symlink_to(tmp_path / "other")
    (folder / "gone.wav").symlink_to(tmp_path / "gone.wav")
    (folder / "gone").symlink_to(tmp_path / "gone")
    (folder / "gone.txt").symlink_to(tmp_path / "gone.txt")
    (folder / "self.mp3").symlink_to(folder / "self.mp3")
    (folder / "device.wav").symlink_to("/dev/zero")
    (folder / "device.txt").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe.flac")
    os.mkfifo(folder / "pipe")
    files, bad = found(folder)
    assert files == [str(folder / "good.wav")]
    reasons = {
        "away": "a link to a folder, which is not followed",
        "device.wav": "expected a regular file, found a device",
        "gone": "a link that leads to no file (No such file or directory)",
        "gone.wav": "a link that leads to no file",
        "pipe.flac": "expected a regular file, found a pipe",
        "round": "a link to a folder",
        "self.mp3": "(Too many levels of symbolic links)",
    }
    assert list(bad) == [str(folder / name) for name in reasons]
    for name, reason in reasons.items():
        message = bad[str(folder / name)]
        assert message.startswith(f"{folder / name}: ") and reason in message


def test_places_that_are_named(folder, tmp_path, monkeypatch):
    """Absent files are left to the reader; pipes are read only where they are named on the command line."""
    (folder / "empty").mkdir()
    (folder / "texts").mkdir()
    (folder / "texts" / "a.txt").touch()
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(folder)
        server.bind("socket")
    names = ["gone.wav", "x" * 5_000, "nul\0.wav", "half\ud800.wav", "empty", "texts", "pipe", "socket", "/dev/zero"]
    files, bad = found(*names)
    assert files == ["gone.wav", "x" * 5_000]
    assert list(bad) == names[2:]
    assert "characters that no name can have" in bad["nul\0.wav"] and "no name can have" in bad["half\ud800.wav"]
    assert bad["empty"].startswith("empty: no audio below it; expected files ending in .wav, ")
    assert [bad[name].split(", ")[1] for name in names[6:]] == [
        "found a pipe. Leave it out", "found a socket. Leave it out", "found a device. Leave it out",
    ]  # fmt: skip
    assert found("pipe", "/dev/zero", pipes=True) == (["pipe"], {"/dev/zero": bad["/dev/zero"]})


def test_folders_that_cannot_be_read_are_named(folder, monkeypatch):
    """The superuser, as which tests may run, reads all."""
    (folder / "a").mkdir()
    (folder / "b").mkdir()
    (folder / "b" / "x.wav").touch()
    scandir = os.scandir

    def without_permission(place):
        if place == str(folder / "a"):
            raise PermissionError(13, "Permission denied", place)
        return scandir(place)

    monkeypatch.setattr(os, "scandir", without_permission)
    files, bad = found(folder)
    assert files == [str(folder / "b" / "x.wav")]
    assert bad[str(folder / "a")].startswith(f"{folder / 'a'}: the folder cannot be read (Permission denied)")
    with pytest.raises(UserError, match="the folder cannot be read"):
        find.audio_by_name(folder, "noises")


def test_noise_folders_refuse_what_cannot_be_used_but_where_it_is_hidden(folder):
    for name in ("b.wav", "a.opus", ".hidden.wav"):
        (folder / name).touch()
    (folder / ".link").symlink_to(folder)
    assert list(find.audio_by_name(folder, "noises")) == ["a.opus", "b.wav"]
    (folder / "more").symlink_to(folder)
    with pytest.raises(UserError, match="more: a link to a folder, which is not followed"):
        find.audio_by_name(folder, "noises")
