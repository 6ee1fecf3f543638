"""The feature cache: its key, its checksums, its writers; and clips whose features cannot be used."""

import io
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
import soundfile

from zoo.data.audio.recording import BadClip
from zoo.data.audio.scan import probe
from zoo.data.batches import feature_store
from zoo.data.batches.feature_store import extract
from zoo.data.schema import Clip
from zoo.errors import UserError


@pytest.fixture
def clips(tmp_path, rng):
    for name in "abc":
        soundfile.write(tmp_path / f"{name}.wav", 0.1 * rng.normal(size=8000), 16_000)
    return [Clip(tmp_path / f"{name}.wav", name, "speaker", "label") for name in "abc"]


class Frontend:
    """Counts its calls; features are 100-sample means."""

    calls = 0

    def __call__(self, waveform):
        self.calls += len(waveform) == 8000  # not the signal of the fingerprint
        return waveform.reshape(-1, 100).mean(axis=1, keepdims=True)


def test_features_are_made_once_per_content_and_settings(clips, tmp_path):
    frontend, cache = Frontend(), tmp_path / "cache"
    first, bad = extract(clips, frontend, {"bands": 1}, cache)
    assert (frontend.calls, bad, set(first)) == (3, [], {"a", "b", "c"})
    waveform = soundfile.read(clips[0].path, dtype="float32")[0]
    np.testing.assert_array_equal(first["a"].read()[:, 0], waveform.reshape(-1, 100).mean(axis=1))
    np.testing.assert_array_equal(first["a"].read(10, 5), first["a"].read()[10:15])
    assert extract(clips, frontend, {"bands": 1}, cache)[0] == first and frontend.calls == 3
    extract(clips, frontend, {"bands": 2}, cache)
    assert frontend.calls == 6
    soundfile.write(clips[1].path, np.resize([0.5, -0.5], 8000), 16_000)  # same name, other content
    assert extract(clips, frontend, {"bands": 1}, cache)[0]["b"].audio_sha256 != first["b"].audio_sha256
    assert frontend.calls == 7


def test_the_cache_key_follows_the_arithmetic(clips, tmp_path):
    def folder(frontend, settings=(), **options):
        found, _ = extract(clips[:1], frontend, dict(settings), tmp_path / "cache", **options)
        return found["a"].path.parent

    def means(scale, waveform):
        return scale * waveform.reshape(-1, 100).mean(axis=1, keepdims=True)

    once = folder(partial(means, 1.0))
    assert folder(partial(means, 1.0)) == once
    assert folder(partial(means, 1.0 + 1e-9)) == once  # as another number of threads may round
    assert folder(partial(means, 1.01)) != once and folder(partial(means, -1.0)) != once
    assert folder(lambda waveform: means(1.0, waveform[::-1])) != once
    assert folder(partial(means, 1.0), {"bands": 2}) != once
    altered = [folder(partial(means, 1.0), alter=lambda waveform, name, by=by: by * waveform) for by in (0.5, 0.5, 0.6)]
    assert altered[0] == altered[1] != altered[2]


def flip(place):
    """Return a function that turns one bit of a file's byte at `place`."""

    def damage(content):
        changed = bytearray(content)
        changed[place] ^= 1
        return bytes(changed)

    return damage


def with_values(values):
    """Return a function that makes a file of other values by NumPy, as another program would."""
    file = io.BytesIO()
    np.save(file, np.asarray(values, np.float32))
    return lambda content: file.getvalue()


DAMAGE = {
    "cut short": lambda content: content[:-9],
    "empty": lambda content: b"",
    "longer": lambda content: content + b"0",
    "a bit of the shape": flip(62),
    "a bit of a value": flip(200),
    "a bit of the audio's hash": flip(-20),
    "a bit of the checksum": flip(-1),
    "not a feature file": lambda content: b"garbage " * 100,
    "NaN": with_values(np.full((80, 1), np.nan)),
    "another shape": with_values(np.zeros((40, 2))),
    "values of NumPy alone": with_values(np.zeros((80, 1))),
    "values before its facts": lambda content: with_values(np.zeros((80, 1)))(content) + content[448:],
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_cache_file_is_made_again_and_named(clips, tmp_path, capsys, damage):
    frontend = Frontend()
    found, _ = extract(clips, frontend, {}, tmp_path / "cache")
    expected, victim = found["b"].read(), found["b"].path
    content = victim.read_bytes()
    assert content[:448] == with_values(expected)(content), "what NumPy reads comes first"
    victim.write_bytes(damage(content))
    again, _ = extract(clips, frontend, {}, tmp_path / "cache")
    assert frontend.calls == 4 and again == found
    np.testing.assert_array_equal(again["b"].read(), expected)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{victim}: damaged features of 'b.wav' in the cache (") and "made again" in line
    extract(clips, frontend, {}, tmp_path / "cache")
    assert frontend.calls == 4 and not capsys.readouterr().err


def test_the_whole_file_of_another_clip_or_other_settings_is_damage(clips, tmp_path, capsys):
    frontend = Frontend()
    found, _ = extract(clips, frontend, {}, tmp_path / "cache")
    others, _ = extract(clips[1:2], frontend, {"bands": 2}, tmp_path / "cache")
    for other in (found["a"].path, others["b"].path):
        expected = found["b"].path.read_bytes()
        shutil.copy(other, found["b"].path)
        extract(clips, frontend, {}, tmp_path / "cache")
        assert found["b"].path.read_bytes() == expected
        assert "damaged features of 'b.wav'" in capsys.readouterr().err


def test_features_that_vanish_or_shrink_while_they_are_used_are_named(clips, tmp_path):
    found, _ = extract(clips, Frontend(), {}, tmp_path / "cache")
    found["a"].path.unlink()
    found["b"].path.write_bytes(found["b"].path.read_bytes()[:200])
    found["c"].path.write_bytes(b"")
    for features in found.values():
        with pytest.raises(UserError, match=f"{features.path}: expected features.* gone or cut short"):
            features.read()


@pytest.mark.parametrize("threads", [1, 4])
def test_clips_of_identical_bytes_are_computed_once(clips, tmp_path, threads):
    """As in a corpus with a recording under two names: four of five openSMILE trainings on such clips crashed."""
    copies = []
    for number in range(6):
        path = tmp_path / f"copy-{number}.wav"
        shutil.copy(clips[0].path, path)
        copies.append(Clip(path, path.stem, "speaker", "label"))
    computed = []

    def slow(waveform):
        computed.append(len(waveform))
        time.sleep(0.05)  # long enough for the other threads to come to their copies
        return waveform[:100, None]

    found, _ = extract(copies, slow, {}, tmp_path / "cache", threads=threads)
    assert computed.count(8000) == 1 and len({item.path for item in found.values()}) == 1 and len(found) == 6
    np.testing.assert_array_equal(found["copy-0"].read(), found["copy-5"].read())


def test_several_writers_of_one_cache_leave_whole_files(clips, tmp_path, capsys):
    """Each on its own threads, as two processes started at once; their last digits may differ."""

    def write(number):
        return extract(clips, lambda waveform: waveform[:100, None] * (1 + 1e-7 * number), {}, tmp_path / "cache")[0]

    with ThreadPoolExecutor(4) as pool:
        first, *others = pool.map(write, range(4))
    assert all(found == first for found in others)
    extract(clips, lambda waveform: pytest.fail("made again") if len(waveform) == 8000 else waveform[:100, None], {},
            tmp_path / "cache")  # fmt: skip
    assert sorted(path.name for path in first["a"].path.parent.iterdir()) == sorted(f.path.name for f in first.values())
    assert not capsys.readouterr().err


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e39])
@pytest.mark.parametrize("threads", [1, 3])
def test_features_that_are_not_finite_are_a_bad_clip(clips, tmp_path, bad, threads):
    """1e39 is beyond float32. The clip is refused by name or left out, and never cached."""
    own = soundfile.read(clips[1].path, dtype="float32")[0]

    def frontend(waveform):
        features = np.ones((10, 4))
        features[3, 1:] = bad if np.array_equal(waveform, own) else 0
        return features

    for _ in range(2):
        with pytest.raises(BadClip, match=rf"{clips[1].path}: expected features .*found 3 of 40 features that are NaN"):
            extract(clips, frontend, {}, tmp_path / "cache", threads=threads)
        found, (left_out,) = extract(clips, frontend, {}, tmp_path / "cache", threads=threads, on_bad_clip="skip")
        assert set(found) == {"a", "c"} and left_out["clip"] == "b" and left_out["kind"] == "undefined"
        assert left_out["reason"].startswith(str(clips[1].path))
    assert len(list(found["a"].path.parent.iterdir())) == 2


@pytest.mark.parametrize("kind", ["undefined", "too-short"])
def test_an_altered_copy_that_cannot_be_used_is_a_bad_clip(clips, tmp_path, kind):
    def alter(waveform, name):
        return {"undefined": waveform * np.nan, "too-short": waveform[:399]}[kind] if name == "b" else waveform

    _, (left_out,) = extract(
        clips, lambda waveform: waveform[:100, None], {}, tmp_path / "cache", alter=alter, on_bad_clip="skip"
    )
    assert (left_out["clip"], left_out["kind"]) == ("b", kind) and "altered copy" in left_out["reason"]


def test_a_clip_of_less_than_a_frame_of_features_is_too_short(clips, tmp_path):
    def per_second(waveform):
        return waveform[: len(waveform) // 16_000, None]

    with pytest.raises(BadClip, match=rf"{clips[0].path}: expected a longer clip, found 8000 samples, less than a fr"):
        extract(clips, per_second, {}, tmp_path / "cache")


def test_a_file_that_changes_while_it_is_read_is_not_cached_under_its_old_hash(clips, tmp_path, monkeypatch):
    def probe_late(path, *arguments):
        soundfile.write(path, np.resize([0.5, -0.5], 8000), 16_000)
        return probe(path, *arguments)

    monkeypatch.setattr(feature_store, "probe", probe_late)
    with pytest.raises(UserError, match=f"{clips[0].path}: the file has changed while it was read"):
        extract(clips[:1], Frontend(), {}, tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("*.npy"))


def test_a_write_that_breaks_off_leaves_nothing_under_the_final_name(clips, tmp_path, monkeypatch):
    monkeypatch.setattr(np, "save", lambda path, array, **options: path.write_bytes(b"\x93NUMPY half") / 0)
    with pytest.raises(ZeroDivisionError):
        extract(clips, Frontend(), {}, tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("*.np*"))


def test_a_bad_clip_stops_or_is_listed(clips, tmp_path):
    clips[1].path.write_bytes(b"")
    with pytest.raises(BadClip, match=r"b\.wav"):
        extract(clips, Frontend(), {}, tmp_path / "cache")
    found, (bad,) = extract(clips, Frontend(), {}, tmp_path / "cache", on_bad_clip="skip")
    assert set(found) == {"a", "c"}
    assert bad["clip"] == "b" and "b.wav" in bad["reason"]


def test_features_are_read_without_np_load(clips, tmp_path, monkeypatch):
    """It parses headers with ast, which CPython 3.11 cannot do in two threads at once."""
    extract(clips, Frontend(), {}, tmp_path / "cache")
    monkeypatch.setattr("ast.parse", lambda *args, **options: pytest.fail("ast was used"))
    found, _ = extract(clips, Frontend(), {}, tmp_path / "cache")
    assert found["a"].read(3, 4).shape == (4, 1)


def test_float16_halves_files_and_is_read_as_float32(clips, tmp_path):
    def frontend(waveform):
        return np.tile(waveform.reshape(-1, 100).mean(axis=1, keepdims=True), 4)

    full, _ = extract(clips, frontend, {}, tmp_path / "cache")
    half, _ = extract(clips, frontend, {}, tmp_path / "cache", stored_as="float16")
    assert full["a"].path.parent != half["a"].path.parent
    sizes = [np.load(one["a"].path).nbytes for one in (full, half)]
    assert sizes == [80 * 4 * 4, 80 * 4 * 2]
    again, _ = extract(clips, frontend, {}, tmp_path / "cache", stored_as="float16")
    assert again == half
    values = half["a"].read()
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, full["a"].read(), rtol=2**-11, atol=1e-7)
    np.testing.assert_array_equal(half["a"].read(10, 5), values[10:15])


def test_values_beyond_float16_are_stored_as_they_are(clips, tmp_path):
    def frontend(waveform):
        return np.full((5, 2), 1e5 if len(waveform) == 8000 else 1.0, np.float32)

    found, _ = extract(clips, frontend, {}, tmp_path / "cache", stored_as="float16")
    assert np.load(found["a"].path).dtype == np.float32
    np.testing.assert_array_equal(found["a"].read(1, 2), np.full((2, 2), 1e5))
