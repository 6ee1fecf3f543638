"""openSMILE's functionals in windows: against NumPy on its descriptors, its own whole-recording mode, and by hand."""

import multiprocessing
import os
import subprocess
import sys
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from own_opensmile import whole

from zoo.data.audio.read import read
from zoo.errors import UserError
from zoo.frontends import opensmile as acoustics
from zoo.frontends import opensmile_process
from zoo.utils import extras

ROOT = Path(__file__).parents[2]
RATE_HZ = 16_000
LOUDNESS, F0 = "loudness_sma3", "F0semitoneFrom27.5Hz_sma3nz"

needs_opensmile = pytest.mark.skipif(
    find_spec("opensmile") is None, reason="opensmile is not installed (pip install -e '.[opensmile]')"
)


@cache
def names_of(feature_set: str) -> list[str]:
    return list(whole(tone(0.5), feature_set).columns)


def columns(values: np.ndarray, feature_set: str) -> dict[str, np.ndarray]:
    return dict(zip(names_of(feature_set), values.T, strict=True))


def tone(seconds: float, hz: float = 220.0) -> np.ndarray:
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return sum(0.2 / k * np.sin(2 * np.pi * hz * k * time) for k in range(1, 9)).astype(np.float32)


@pytest.fixture(scope="module")
def speech(shared_data) -> np.ndarray:
    """Ten seconds of an actor's sentences."""
    paths = sorted((shared_data / "ravdess" / "Actor_01").glob("*.flac"))[:4]
    return np.concatenate([read(path, RATE_HZ) for path in paths])[: 10 * RATE_HZ]


@needs_opensmile
@pytest.mark.parametrize("feature_set", ["egemaps", "compare"])
@pytest.mark.parametrize("level, window_seconds, hop_seconds, n_frames", [(0.1, 3.0, 0.04, 56), (0.0, 1.0, 0.5, 4)])
def test_one_finite_row_for_each_whole_frame(feature_set, level, window_seconds, hop_seconds, n_frames, rng):
    """Of noise, and of silence."""
    noise = (level * rng.standard_normal(int(2.27 * RATE_HZ))).astype(np.float32)
    values = acoustics.functionals(noise, RATE_HZ, feature_set, window_seconds, hop_seconds)
    assert values.shape == (n_frames, acoustics.FEATURE_SETS[feature_set])
    assert values.dtype == np.float32 and np.isfinite(values).all()


@needs_opensmile
def test_five_functionals_are_those_of_the_descriptors_in_each_window(rng):
    """Section 5.3 of D4.2: against NumPy on every window's descriptors, by column; clips take them another way."""
    sound = tone(1.0) * rng.uniform(0.2, 1, RATE_HZ).astype(np.float32)
    found = acoustics.functionals(sound, RATE_HZ, "compare_five", 0.4, 0.1)
    times, values, _ = acoustics.descriptors(sound, RATE_HZ, "compare")
    assert found.shape == (10, acoustics.FEATURE_SETS["compare_five"]) == (10, 5 * values.shape[1])
    for row in (0, 4, 9):
        begin, end = max(0.0, (row + 0.5) * 0.1 - 0.2), min(1.0, (row + 0.5) * 0.1 + 0.2)
        inside = values[(times >= begin - 1e-9) & (times + 0.06 <= end + 1e-9)]
        columns = [inside.max(0), inside.min(0), np.ptp(inside, 0), inside.mean(0), inside.std(0)]
        np.testing.assert_allclose(found[row], np.concatenate(columns), rtol=1e-4, atol=1e-5)
    assert acoustics.settings("compare_five", 3.0, 0.04) != acoustics.settings("compare", 3.0, 0.04)
    with pytest.raises(UserError, match=r"is for windows.* Give --feature-set compare --functionals five"):
        acoustics.clip_settings("compare_five", "five")


@needs_opensmile
@pytest.mark.parametrize("feature_set, n_descriptors", [("egemaps", 25), ("compare", 65)])
def test_sizes_are_those_of_the_papers_and_of_opensmile(feature_set, n_descriptors):
    assert len(names_of(feature_set)) == acoustics.FEATURE_SETS[feature_set]
    times, values, found = acoustics.descriptors(tone(0.5), RATE_HZ, feature_set)
    assert values.shape == (len(times), n_descriptors) == (len(times), len(set(found)))
    assert values.dtype == np.float32
    np.testing.assert_allclose(times, 0.01 * np.arange(46))  # 45 whole frames of 60 ms, and one that smoothing adds


@needs_opensmile
def test_descriptors_of_a_tone_begin_with_it():
    """The first to sound is smoothed over 3 frames, the first of which ends 20 ms after it begins."""
    waveform = np.concatenate([np.zeros(RATE_HZ, np.float32), tone(1.0)])
    times, values, names = acoustics.descriptors(waveform, RATE_HZ, "egemaps")
    loudness, f0 = (values[:, names.index(name)] for name in ("Loudness_sma3", F0))
    assert times[np.flatnonzero(loudness > 0.01 * loudness.max())[0]] == pytest.approx(0.98)
    np.testing.assert_allclose(f0[(times > 1.1) & (times < 1.8)], 36, atol=0.1)


@needs_opensmile
def test_functionals_are_numpys_of_the_descriptors_in_the_window(speech):
    """Of frames of 60 ms within 1.5 s of the middle of the rated 40 ms, at the ends as far as there is audio."""
    values = columns(acoustics.functionals(speech, RATE_HZ, "egemaps", 3.0, 0.04), "egemaps")
    _, lows, names = acoustics.descriptors(speech, RATE_HZ, "egemaps")
    begins = np.arange(len(lows)) * 0.01
    for frame in (0, 10, 37, 38, 120, 212, 213, 249):
        middle = (frame + 0.5) * 0.04
        inside = (begins > middle - 1.5 - 1e-6) & (begins + 0.06 < min(middle + 1.5, 10) + 1e-6)
        loudness, f0 = (lows[inside, names.index(name)] for name in ("Loudness_sma3", F0))
        f0 = f0[f0 > 0]
        expected = {
            f"{LOUDNESS}_amean": loudness.mean(),
            f"{LOUDNESS}_stddevNorm": loudness.std() / loudness.mean(),
            f"{LOUDNESS}_percentile80.0": np.quantile(loudness, 0.8),
            f"{F0}_amean": f0.mean(),
            f"{F0}_percentile20.0": np.quantile(f0, 0.2),
            "mfcc2_sma3_amean": lows[inside, names.index("mfcc2_sma3")].mean(),
        }
        for name, value in expected.items():
            assert values[name][frame] == pytest.approx(value, rel=2e-4), (frame, name)


@needs_opensmile
@pytest.mark.parametrize("feature_set", ["egemaps", "compare"])
def test_one_window_over_the_recording_is_opensmiles_own_result(speech, feature_set):
    """Exactly, where only voiced frames count; the rest also hold the few short frames after the last whole 60 ms."""
    one = acoustics.functionals(speech[: 4 * RATE_HZ], RATE_HZ, feature_set, 4.0, 4.0)
    own = whole(speech[: 4 * RATE_HZ], feature_set).to_numpy()
    assert one.shape == own.shape
    starts = ("F0", "jitter", "shimmer")
    voiced = [name.startswith(starts) and not name.endswith("nnz") for name in names_of(feature_set)]
    assert sum(voiced) >= 14
    np.testing.assert_array_equal(one[:, voiced], own[:, voiced])
    assert np.isclose(one, own, rtol=0.05, atol=1e-3).mean() > 0.9


@needs_opensmile
def test_a_tone_sounds_in_the_windows_that_reach_it():
    """220 Hz is 3 octaves, 36 semitones, above 27.5 Hz; it sounds from 3 s to 3.5 s."""
    waveform = np.zeros(6 * RATE_HZ, np.float32)
    waveform[3 * RATE_HZ : round(3.5 * RATE_HZ)] = tone(0.5)
    values = columns(acoustics.functionals(waveform, RATE_HZ, "egemaps", 1.0, 0.5), "egemaps")
    loud = values[f"{LOUDNESS}_amean"]
    # Windows are -0.25-0.75, 0.25-1.25, ... : rows 5 (2.25-3.25), 6 and 7 (3.25-4.25) reach the tone.
    assert np.flatnonzero(loud > 0.1 * loud.max()).tolist() == [5, 6, 7]
    assert loud.argmax() == 6
    assert values[f"{F0}_percentile50.0"][6] == pytest.approx(36, abs=0.1)
    assert values[f"{F0}_amean"][0] == 0  # what a window without voice has


@needs_opensmile
def test_windows_too_short_for_opensmile_repeat_the_nearest():
    waveform = np.concatenate([tone(0.5), tone(0.5, 330.0)])
    values = acoustics.functionals(waveform, RATE_HZ, "egemaps", 0.1, 0.04)
    # Row 0 is of 0-0.07 s, with 2 descriptors; row 1 of 0.01-0.11 s, with 5; row 24 of 0.93-1 s, with 2.
    np.testing.assert_array_equal(values[0], values[1])
    np.testing.assert_array_equal(values[24], values[23])
    assert not np.array_equal(values[1], values[2])


@needs_opensmile
def test_samples_of_one_do_not_become_minus_one():
    square = np.sign(tone(1.0)).astype(np.float32)
    below = acoustics.functionals(0.9999 * square, RATE_HZ, "egemaps", 1.0, 0.5)
    above = acoustics.functionals(3 * square, RATE_HZ, "egemaps", 1.0, 0.5)
    np.testing.assert_allclose(columns(above, "egemaps")[f"{F0}_amean"], columns(below, "egemaps")[f"{F0}_amean"])
    np.testing.assert_allclose(above, below, rtol=0.02, atol=0.02)


@needs_opensmile
def test_nothing_is_left_where_it_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    processes = opensmile_process.Processes(1)  # new ones, started there
    monkeypatch.setattr(acoustics, "own_processes", lambda: processes)
    first, second = (acoustics.functionals(tone(1.0), RATE_HZ, "egemaps", 0.5, 0.1) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    processes.close()
    assert list(tmp_path.iterdir()) == []


@needs_opensmile
def test_settings_tell_apart_all_that_changes_the_result():
    kinds = [("egemaps", 3.0, 0.04), ("compare", 3.0, 0.04), ("egemaps", 1.0, 0.04), ("egemaps", 3.0, 0.5)]
    found = [acoustics.settings(*kind) for kind in kinds]
    assert len({str(settings) for settings in found}) == len(kinds)
    assert found[0]["opensmile"] == version("opensmile")


@needs_opensmile
def test_recordings_too_short():
    assert acoustics.functionals(tone(0.03), RATE_HZ, "egemaps", 3.0, 0.04).shape == (0, 88)
    with pytest.raises(UserError, match=r"0\.08 s of audio in windows of 3 s: openSMILE expects .* 0\.09 s"):
        acoustics.functionals(tone(0.08), RATE_HZ, "egemaps", 3.0, 0.04)
    assert acoustics.functionals(tone(0.09), RATE_HZ, "egemaps", 3.0, 0.04).shape == (2, 88)
    with pytest.raises(UserError, match=r"0\.05 s of audio"):
        acoustics.descriptors(tone(0.05), RATE_HZ, "egemaps")
    assert len(acoustics.descriptors(tone(0.06), RATE_HZ, "egemaps")[0]) >= 1


@needs_opensmile
def test_rates_shapes_and_sets_that_opensmile_has_not():
    with pytest.raises(ValueError, match="multiple of 100 Hz"):
        acoustics.functionals(tone(1.0), 22_050, "egemaps", 1.0, 0.5)
    with pytest.raises(ValueError, match=r"\(samples,\)"):
        acoustics.descriptors(tone(1.0)[:, None], RATE_HZ, "egemaps")
    with pytest.raises(UserError, match=r"unknown feature set 'egemap'\. Did you mean 'egemaps'"):
        acoustics.functionals(tone(1.0), RATE_HZ, "egemap", 1.0, 0.5)


def test_a_missing_package_is_named_with_its_licence(monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'speech-emotion-zoo\[opensmile\]'; .*non-commercial use only"):
        acoustics.settings("egemaps", 3.0, 0.04)
    with pytest.raises(UserError, match="non-commercial use only"):
        acoustics.descriptors(tone(1.0), RATE_HZ, "egemaps")


MAIN = """
with open("imported.txt", "a") as imported:
    imported.write(__name__ + " ")
import numpy as np
from zoo.frontends import opensmile
print(opensmile.clip_functionals(np.sin(np.arange(8000, dtype=np.float32)), 16_000, "egemaps", "five").shape)
"""


@needs_opensmile
def test_a_users_script_is_not_run_again_in_the_processes(tmp_path):
    """One that imports TensorFlow would bring it into them; multiprocessing's import the main script."""
    (tmp_path / "main.py").write_text(MAIN)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "main.py"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stdout == "(125,)\n", done.stderr
    assert (tmp_path / "imported.txt").read_text() == "__main__ "


@needs_opensmile
def test_a_process_that_ended_is_named_and_replaced(monkeypatch):
    processes = opensmile_process.Processes(1)
    with monkeypatch.context() as patch, pytest.raises(UserError, match="has ended before its work was done"):
        patch.setattr(opensmile_process.sys, "executable", "/bin/true")
        processes.extract(tone(0.5), RATE_HZ, "eGeMAPSv02", "Functionals")
    values, names = processes.extract(tone(0.5), RATE_HZ, "eGeMAPSv02", "Functionals")
    assert values.shape == (1, 88) and len(names) == 88
    with pytest.raises(RuntimeError, match="KeyError: 'unknown'"):
        processes.extract(tone(0.5), RATE_HZ, "unknown", "Functionals")
    processes.close()


def _in_a_worker():
    return acoustics.clip_functionals(tone(0.5), RATE_HZ, "egemaps", "five").shape


@needs_opensmile
def test_a_worker_that_used_it_comes_to_its_end():
    context = multiprocessing.get_context("spawn")
    worker = context.Process(target=_in_a_worker)
    worker.start()
    worker.join(60)
    ended = worker.exitcode == 0
    worker.kill()
    assert ended
