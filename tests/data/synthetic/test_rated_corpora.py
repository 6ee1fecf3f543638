"""The twins of corpora that are rated continuously, read by their loaders and by a linear regression."""

import csv
import json
from itertools import combinations

import numpy as np
import pytest
import soundfile
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from zoo.data.corpora import registry as corpora
from zoo.data.protocols import lookup as protocols
from zoo.data.synthetic import corpora as synthetic
from zoo.data.synthetic import rated_corpora, voice
from zoo.metrics.regression import ccc

SHORT = (2.0, 4.0)  # seconds


@pytest.fixture(scope="module")
def usual_recola(tmp_path_factory):
    return corpora.load("recola", synthetic.synthesize("recola", tmp_path_factory.mktemp("recola") / "twin")).clips


@pytest.fixture
def followed(monkeypatch):
    """Replace the voice by a quick tone and list the arousal and valence (frames, 2) that it follows."""
    asked: list[np.ndarray] = []

    def monologue(arousal, valence, speaker, rng, rate_hz):
        asked.append(np.stack([arousal, valence], axis=1))
        n_samples = (len(arousal) - 1) * rate_hz // voice.FRAMES_PER_SECOND
        return 0.3 * np.sin(2 * np.pi * speaker.f0_hz * np.arange(n_samples) / rate_hz)

    monkeypatch.setattr(voice, "monologue", monologue)
    return asked


def frame_features(samples, rate_hz=16000):
    """Log energy, zero crossings, log centroid, log pitch, periodicity: every 40 ms, over the loud of 1.5 s."""
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(samples, 640), 1280)[::640]
    energy = np.log(np.mean(frames**2, axis=1) + 1e-7)
    crossings = np.mean(np.diff(np.sign(frames), axis=1) != 0, axis=1)
    spectrum = np.abs(np.fft.rfft(frames * np.hanning(1280)))
    centroid = spectrum @ np.fft.rfftfreq(1280, 1 / rate_hz) / (spectrum.sum(axis=1) + 1e-9)
    correlation = np.fft.irfft(np.abs(np.fft.rfft(frames, 2560)) ** 2)[:, rate_hz // 400 : rate_hz // 70]
    lag = correlation.argmax(axis=1)
    periodicity = correlation.max(axis=1) / (np.sum(frames**2, axis=1) + 1e-9)
    pitch = -np.log(lag + rate_hz // 400)
    features = np.stack([energy, crossings, np.log(centroid + 1), pitch, periodicity], axis=1)
    window, loud = np.hanning(75), (energy > -9) + 1e-3
    smooth = [np.convolve(feature * loud, window, "same") for feature in features.T]
    return np.stack(smooth, axis=1) / np.convolve(loud, window, "same")[:, None]


def test_unseen_speakers_are_predicted(usual_recola):
    features, values = (
        {part: np.concatenate([of(c) for c in usual_recola if c.tags["part"] == part]) for part in ("train", "dev")}
        for of in (lambda clip: frame_features(soundfile.read(clip.path)[0]), lambda clip: clip.trace.values)
    )
    regression = make_pipeline(StandardScaler(), Ridge(10)).fit(features["train"], values["train"])
    predicted = regression.predict(features["dev"])
    assert np.all(ccc(predicted, values["dev"]) > [0.8, 0.55])


def test_usual_recola(usual_recola):
    assert {clip.name for clip in usual_recola} == {f"{part}_{n}" for part in ("train", "dev") for n in range(1, 7)}
    for clip in usual_recola:
        info = soundfile.info(clip.path)
        assert (info.samplerate, info.channels, info.subtype, info.frames) == (16000, 1, "PCM_16", 40 * 16000)
        assert clip.trace.values.shape == (40 * 25 + 1, 2)
        assert (clip.trace.step_seconds, clip.trace.start_seconds) == (0.04, 0.0)
    values = np.stack([clip.trace.values for clip in usual_recola])  # (recordings, steps, 2)
    assert np.abs(values).max() < 1
    assert np.abs(np.diff(values, axis=1)).max() < 0.04
    assert np.abs(np.diff(values, n=2, axis=1)).max() < 0.003
    assert values.std(axis=1).min() > 0.15
    assert (values.min(axis=(0, 1)) < -0.7).all() and (values.max(axis=(0, 1)) > 0.7).all()
    assert abs(np.corrcoef(values[..., 0].ravel(), values[..., 1].ravel())[0, 1]) < 0.4  # one does not give the other


@pytest.mark.parametrize("name", ["avec-2016", "recola-nested", "recola-full", "recola-kfold-10"])
def test_protocols_divide_the_usual_twin(name, usual_recola):
    division = protocols.division(protocols.PROTOCOLS[name], usual_recola, allow_incomplete=True)
    assert all(all(fold.sides) for fold in division.folds)
    assert not [note for note in division.notes if "left out" in note]


def test_labels_are_what_the_voice_follows(tmp_path, followed):
    root = synthetic.synthesize("recola", tmp_path / "twin", 5, seconds=SHORT)
    by_name = {clip.name: clip for clip in corpora.load("recola", root).clips}
    assert set(by_name) == {"train_1", "dev_1", "train_2", "dev_2", "train_3"}
    for name, values in zip(("train_1", "dev_1", "train_2", "dev_2", "train_3"), followed, strict=True):
        trace = by_name[name].trace.values
        np.testing.assert_allclose(trace, values[::2], atol=1e-6)
        assert soundfile.info(by_name[name].path).frames == (len(trace) - 1) * 640
    assert len({len(values) for values in followed}) > 1
    head, rows = (root / "ratings_gold_standard" / "valence" / "dev_1.arff").read_text().split("@data\n\n")
    numeric = "@attribute frameTime numeric\n@attribute GoldStandard numeric"
    assert head == f"@relation GOLDSTANDARD\n\n@attribute Instance_name string\n{numeric}\n\n"
    times = [f"dev_1,{step / 25:.2f}" for step in range(len(by_name["dev_1"].trace.values))]
    assert [row.rpartition(",")[0] for row in rows.splitlines()] == times


def test_website_release(tmp_path):
    avec = synthetic.synthesize("recola", tmp_path / "avec", 4, seconds=(20.0, 20.0))
    root = synthetic.synthesize("recola", tmp_path / "website", 4, seconds=(20.0, 20.0), layout="website")
    gold = {clip.name: clip for clip in corpora.load("recola", avec).clips}
    loaded = corpora.load("recola", root)
    assert (loaded.ignored, loaded.missing) == ({}, [])
    assert [clip.name for clip in loaded.clips] == ["P16", "P19", "P21", "P26"]
    for clip, name in zip(loaded.clips, ("train_1", "dev_1", "train_2", "dev_2"), strict=True):
        same = gold[name]
        assert clip.path.read_bytes() == same.path.read_bytes()
        for rated, meant in zip(clip.trace.values.T, same.trace.values.T, strict=True):
            assert np.corrcoef(rated[15:], meant[:-15])[0, 1] > 0.9
            assert np.abs(rated - meant).max() > 0.01
    marker = json.loads((root / "SYNTHETIC.json").read_text())
    assert (marker["layout"], marker["generator_version"]) == ("website", rated_corpora.GENERATOR_VERSION)
    path = root / "RECOLA-Annotation" / "emotional_behaviour" / "arousal" / "P16.csv"
    assert path.read_text().startswith("time;FM1 ;FM2 ;FM3 ;FF1 ;FF2 ;FF3\n0.00;")
    times, *raters = np.loadtxt(path, delimiter=";", skiprows=1).T
    np.testing.assert_allclose(times, np.arange(501) * 0.04, atol=1e-9)
    assert np.abs(raters).max() <= 1 and np.ptp(np.mean(raters, axis=1)) > 0.05
    assert min(np.corrcoef(rating, gold["train_1"].trace.values[:, 0])[0, 1] for rating in raters) > 0.6
    assert min(np.abs(one - other).max() for one, other in combinations(raters, 2)) > 0.05


def test_music(tmp_path, followed):
    root = synthetic.synthesize("mediaeval_music", tmp_path / "twin", 5)
    loaded = corpora.load("mediaeval_music", root)
    assert (loaded.ignored, loaded.missing) == ({}, [])
    assert [clip.name for clip in loaded.clips] == ["2", "3", "4", "5", "6"]
    assert [clip.tags["part"] for clip in loaded.clips] == [*["development"] * 4, "evaluation"]
    assert len({clip.speaker for clip in loaded.clips}) == 5
    for clip, values in zip(loaded.clips, followed, strict=True):
        info = soundfile.info(clip.path)
        assert (info.format, info.samplerate, info.frames) == ("MP3", 44100, 45 * 44100)
        assert clip.trace.start_seconds == 15
        np.testing.assert_allclose(clip.trace.values, values[15 * 50 :: 25], atol=1e-6)
        assert clip.trace.values.shape == (61, 2)
    with (root / "annotations" / "songs_info.csv").open(newline="") as file:
        songs = list(csv.DictReader(file))
    assert [song["file_name"] for song in songs] == [f"{number}.mp3" for number in range(2, 7)]
    assert {song["end of the segment (min.sec)"] for song in songs} == {"0.45"}
    for path in (root / "annotations").glob("*_cont_std.csv"):
        header, *rows = (line.split(",") for line in path.read_text().splitlines())
        assert header == ["song_id", *(f"sample_{15_000 + 500 * step}ms" for step in range(61))]
        assert len(rows) == 5 and all(float(value) > 0 for row in rows for value in row[1:])


def test_a_recording_does_not_depend_on_how_many_there_are(tmp_path):
    few, more = (synthetic.synthesize("recola", tmp_path / str(n_clips), n_clips, 3, SHORT) for n_clips in (2, 3))
    for path in [path for folder in few.iterdir() if folder.is_dir() for path in folder.rglob("*.*")]:
        assert path.read_bytes() == (more / path.relative_to(few)).read_bytes()
    samples = [soundfile.read(path)[0] for path in sorted(more.rglob("*.wav"))]
    assert len(samples) == 3 and all(np.std(wave) > 0.01 and np.abs(wave).max() < 1 for wave in samples)


def test_monologue_lengths():
    rng = np.random.default_rng(0)
    speaker = voice.draw_speaker("M", rng)
    for n_frames, rate_hz, n_samples in ((51, 16000, 16000), (2, 16000, 320), (101, 44100, 88200)):
        samples = voice.monologue(np.zeros(n_frames), np.zeros(n_frames), speaker, rng, rate_hz)
        assert (samples.shape, samples.dtype) == ((n_samples,), np.float32)
        assert np.isfinite(samples).all()


@pytest.mark.parametrize(("corpus", "usual"), [("recola", 12), ("mediaeval_music", 20), ("emodb", 240)])
def test_no_number_means_the_usual_one(corpus, usual, tmp_path, monkeypatch):
    written = []
    for kind in (synthetic.Twin, rated_corpora.RatedTwin):
        monkeypatch.setattr(kind, "write", lambda twin, root, *arguments: written.append(arguments) or root.mkdir())
    version = synthetic.GENERATOR_VERSION if corpus == "emodb" else rated_corpora.GENERATOR_VERSION
    assert synthetic.cached(corpus, tmp_path) == tmp_path / "synthetic" / f"{corpus}-{usual}-0-v{version}"
    synthetic.synthesize(corpus, tmp_path / "twin")
    usual_seconds = {"recola": (40.0, 40.0), "mediaeval_music": (45.0, 45.0), "emodb": (1.0, 2.5)}[corpus]
    assert [arguments[1] for arguments in written] == [usual, usual]
    assert {arguments[3] for arguments in written} == {usual_seconds}
