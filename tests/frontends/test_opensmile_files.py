"""openSMILE's processes read files themselves: values, facts and errors are those of waveforms read here."""

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import soundfile

from zoo.data.audio.read import read
from zoo.data.audio.recording import WHOLE, BadClip
from zoo.data.audio.scan import probe
from zoo.data.batches.feature_store import extract
from zoo.data.schema import Clip
from zoo.features.extractor import of_clip_functionals
from zoo.frontends import opensmile as acoustics
from zoo.frontends import opensmile_process

RATE_HZ = 16_000
pytestmark = pytest.mark.skipif(
    find_spec("opensmile") is None, reason="opensmile is not installed (pip install -e '.[opensmile]')"
)


@pytest.fixture
def recording(tmp_path, rng):
    """A second of a voice-like sound in stereo at another rate than the features'."""
    time = np.arange(22_050) / 22_050
    tone = sum(0.2 / k * np.sin(2 * np.pi * 200 * k * time) for k in range(1, 6))
    path = tmp_path / "voice.wav"
    soundfile.write(path, np.stack([tone, tone + 0.01 * rng.normal(size=len(time))], axis=1), 22_050)
    return path


@pytest.mark.parametrize("segment", [WHOLE, (0.25, 0.9), (0.5, None)])
@pytest.mark.parametrize("kind", [("egemaps", "five"), ("egemaps", "opensmile"), ("compare", "opensmile")])
def test_values_and_facts_of_a_file_are_those_of_its_waveform(recording, segment, kind):
    facts, values = acoustics.file_functionals(recording, segment, 60.0, RATE_HZ, *kind)
    expected, waveform = probe(recording, RATE_HZ, acoustics.LEAST_SECONDS, 60.0, segment)
    assert facts == expected
    np.testing.assert_array_equal(values, acoustics.clip_functionals(waveform, RATE_HZ, *kind))


def test_a_relative_path_is_of_the_folder_where_it_is_named(recording, tmp_path, monkeypatch):
    elsewhere = tmp_path / "other"
    elsewhere.mkdir()
    acoustics.clip_functionals(read(recording), RATE_HZ, "egemaps", "five")  # processes are there, started elsewhere
    monkeypatch.chdir(elsewhere)
    facts, _ = acoustics.file_functionals(Path("../voice.wav"), WHOLE, 60.0, RATE_HZ, "egemaps", "five")
    assert facts == probe(recording)[0]


SPOILT = {
    "missing": lambda path: path.unlink(),
    "silent": lambda path: soundfile.write(path, np.zeros(8000), RATE_HZ),
    "too-short": lambda path: soundfile.write(path, np.ones(800), RATE_HZ),
    "too-long": lambda path: soundfile.write(path, np.zeros(3 * RATE_HZ), RATE_HZ),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-5000]),
    "foreign": lambda path: path.write_bytes(b"\0\0\0\x18ftypM4A " + bytes(100)),
}


@pytest.mark.parametrize("kind", SPOILT)
@pytest.mark.parametrize("segment", [WHOLE, (0.0, None)], ids=["whole", "from its beginning"])
def test_a_bad_file_is_refused_in_the_words_of_reading_it_here(recording, kind, segment):
    SPOILT[kind](recording)
    with pytest.raises(BadClip) as there:
        acoustics.file_functionals(recording, segment, 2.0, RATE_HZ, "egemaps", "five")
    with pytest.raises(BadClip) as here:
        probe(recording, RATE_HZ, acoustics.LEAST_SECONDS, 2.0, segment)
    assert (str(there.value), there.value.kind) == (str(here.value), kind)
    assert there.value.path == here.value.path


def test_a_process_goes_on_behind_a_bad_file(recording, tmp_path):
    processes = opensmile_process.Processes(1)
    kind = (0.06, 60.0), RATE_HZ, "eGeMAPSv02", "Functionals"
    with pytest.raises(BadClip, match="No such file"):
        processes.extract_file(tmp_path / "none.wav", WHOLE, *kind)
    first = processes._idle.queue[-1]
    _, values = processes.extract_file(recording, WHOLE, *kind)
    assert processes._idle.queue[-1] is first and values.shape == (1, 88)
    processes.close()


def test_windows_of_one_recording_leave_no_trace_in_the_next(recording):
    """openSMILE is opened once for a set: the windows of a request must not be those of the next one."""
    waveform, kind = read(recording), ("eGeMAPSv02", "Functionals")
    processes = opensmile_process.Processes(1)
    whole, names = processes.extract(waveform, RATE_HZ, *kind)
    windows, _ = processes.extract(waveform, RATE_HZ, *kind, "0-30,20-50")
    again, named_again = processes.extract(waveform, RATE_HZ, *kind)
    at_another_rate, _ = processes.extract(waveform, 2 * RATE_HZ, *kind)
    processes.close()
    assert windows.shape == (2, 88) and names == named_again and len(names) == 88
    np.testing.assert_array_equal(again, whole)
    assert not np.allclose(at_another_rate, whole)


def test_names_are_sent_once(recording, monkeypatch):
    """ComParE's 6,373 names are 200 kB of JSON: more than a clip's values."""
    asked, ask = [], opensmile_process._ask
    monkeypatch.setattr(opensmile_process, "_ask", lambda *words: asked.append(ask(*words)) or asked[-1])
    processes = opensmile_process.Processes(1)
    found = [processes.extract(read(recording), RATE_HZ, "ComParE_2016", "Functionals") for _ in range(2)]
    processes.close()
    assert [len(names) for _, names in found] == [6373, 6373]
    assert [len(json.dumps(answer)) > 1000 for answer, _ in asked] == [True, False]


def test_features_of_a_corpus_are_those_of_its_waveforms(recording, tmp_path):
    extractor = of_clip_functionals("egemaps", "opensmile")
    clips = [
        Clip(recording, "whole", "speaker", "label"),
        Clip(recording, "part", "speaker", "label", start_seconds=0.25, end_seconds=0.9),
    ]
    given = {"min_seconds": extractor.least_seconds, "threads": extractor.threads}
    by_file, bad = extract(
        clips, extractor.features, extractor.settings, tmp_path / "a", of_file=extractor.of_file, **given
    )
    here, _ = extract(clips, extractor.features, extractor.settings, tmp_path / "b", **given)
    assert not bad
    for name, features in here.items():
        np.testing.assert_array_equal(by_file[name].read(), features.read())
        assert by_file[name].path.read_bytes() == features.path.read_bytes()
