"""The synthetic twins, read by the corpora's own loaders."""

import json
import re
from collections import Counter
from itertools import count, product

import numpy as np
import pytest
import soundfile

from zoo.config.run_config import RunConfig
from zoo.data.corpora import registry as corpora
from zoo.data.protocols import lookup as protocols
from zoo.data.synthetic import corpora as synthetic
from zoo.data.synthetic import voice
from zoo.errors import UserError

LEAST_CLIPS = {"iemocap": 50, "aibo": 40, "ravdess": 192, "emodb": 70, "cremad": 96, "recola": 2, "mediaeval_music": 5}
SHORT = (0.2, 0.25)  # seconds


def twin(tmp_path, corpus, n_clips):
    """Write the twin with utterances of a quarter of a second and load it."""
    return corpora.load(corpus, synthetic.synthesize(corpus, tmp_path / "twin", n_clips, seconds=SHORT)).clips


@pytest.fixture
def coded_voice(monkeypatch):
    """Replace the voice by one that codes the emotion (of the list) and the speaker in the samples."""
    emotions, numbers = list(voice.EMOTIONS), count(1)

    def utterance(emotion, speaker, seconds, rng, rate_hz):
        samples = np.zeros(round(seconds * rate_hz))
        samples[:2] = emotions.index(emotion) / 100, speaker / 100
        return samples

    monkeypatch.setattr(voice, "draw_speaker", lambda kind, rng: next(numbers))
    monkeypatch.setattr(voice, "utterance", utterance)
    return emotions


# The loader's label -> the row of voice.EMOTIONS that it must be spoken in.
WORDS = {"anger": "angry", "disgust": "disgust", "fear": "fearful", "neutral": "neutral"}
SPOKEN = {
    "iemocap": {"neu": "neutral", "hap": "happy", "exc": "excited", "sad": "sad", "ang": "angry"}
    | {"fru": "frustrated", "xxx": "other"},
    "aibo": {"A": "angry", "E": "emphatic", "N": "neutral", "P": "positive", "R": "other"},
    "ravdess": {word: word for word in ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")},
    "emodb": {**WORDS, "boredom": "bored", "happiness": "happy", "sadness": "sad"},
    "cremad": {**WORDS, "happy": "happy", "sad": "sad"},
}
SPEAKERS = {
    "iemocap": {f"Ses0{session}{gender}" for session in range(1, 6) for gender in "FM"},
    "aibo": {f"{school}_0{child}" for school in ("Ohm", "Mont") for child in range(1, 5)},
    "ravdess": {f"Actor_{actor:02d}" for actor in range(1, 25)},
    "emodb": {"03", "08", "09", "10", "11", "12", "13", "14", "15", "16"},
    "cremad": {str(actor) for actor in range(1001, 1017)},
}


@pytest.mark.parametrize("corpus", SPEAKERS)
@pytest.mark.parametrize("extra", [0, 107])
def test_loader_reads_what_was_written(corpus, extra, tmp_path, coded_voice):
    n_clips = LEAST_CLIPS[corpus] + extra
    root = synthetic.synthesize(corpus, tmp_path / "twin", n_clips, seconds=SHORT)
    assert corpora.resolve_root(corpus, root) == root
    loaded = corpora.load(corpus, root)
    assert (len(loaded.clips), loaded.ignored, loaded.missing, loaded.duplicates) == (n_clips, {}, [], [])
    numbers = {}
    for clip in loaded.clips:
        samples, rate_hz = soundfile.read(clip.path, always_2d=True)
        assert rate_hz == corpora.CORPORA[corpus].rate_hz
        emotion, number = np.round(samples[:2, 0] * 100).astype(int)
        assert coded_voice[emotion] == SPOKEN[corpus][clip.label]
        assert numbers.setdefault(clip.speaker, number) == number
    assert set(numbers) == SPEAKERS[corpus]
    assert len(set(numbers.values())) == len(numbers)


# Thirteen clips above the least; RAVDESS's have 102 of song beside them.
@pytest.mark.parametrize(
    ("corpus", "n_clips"), [("aibo", 53), ("ravdess", 192 + 13 + 102), ("emodb", 83), ("cremad", 109)]
)
def test_classes_are_balanced_over_speakers(corpus, n_clips, tmp_path, coded_voice):
    clips = [clip for clip in twin(tmp_path, corpus, n_clips) if clip.tags.get("channel") != "song"]
    cells = Counter((clip.speaker, clip.label) for clip in clips)
    assert len(cells) == len(SPEAKERS[corpus]) * len(SPOKEN[corpus]) and set(cells.values()) == {1, 2}
    labels = Counter(clip.label for clip in clips)
    assert max(labels.values()) - min(labels.values()) <= 2


@pytest.mark.parametrize("n_clips", [50, 200])
def test_iemocap_speakers_have_the_four_classes(n_clips, tmp_path, coded_voice):
    clips = twin(tmp_path, "iemocap", n_clips)
    improvised = {(c.speaker, c.label.replace("exc", "hap")) for c in clips if c.tags["kind"] == "impro"}
    assert improvised >= set(product(SPEAKERS["iemocap"], ("neu", "hap", "sad", "ang")))
    if n_clips == 200:
        assert {clip.label for clip in clips} == set(SPOKEN["iemocap"])
        assert 0.8 <= np.mean([clip.tags["kind"] == "impro" for clip in clips]) < 1
        assert sum(clip.label in ("fru", "xxx") for clip in clips) < 30
        # The marker's letter and the speaker's differ in places, which careless loaders get wrong.
        assert {clip.name[5] + clip.speaker[5] for clip in clips} == {"FF", "FM", "MF", "MM"}


def test_iemocap_label_file(tmp_path, coded_voice):
    root = synthetic.synthesize("iemocap", tmp_path / "twin", 50, seconds=SHORT)
    text = (root / "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt").read_text()
    head, *blocks = text.split("\n\n")
    assert head == "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]"
    assert len(blocks) == 8  # four turns of each speaker
    assert re.fullmatch(
        r"\[\d\.\d{4} - \d\.\d{4}\]\tSes01F_impro01_F000\tneu\t\[3\.5000, 2\.5000, 2\.5000\]\n"
        r"(C-E[234]:\tNeutral state;\t\(\)\n){3}"
        r"A-E3:\tval 3; act 2; dom  2;\t\(\)\nA-E4:\tval 4; act 3; dom  3;\t\(\)",
        blocks[0],
    )
    times = [float(time) for times in re.findall(r"\[(\S+) - (\S+)\]\t", text) for time in times]
    assert times == sorted(times)


def test_ravdess_intensities_rate_and_stereo_clip(tmp_path, coded_voice):
    clips = twin(tmp_path, "ravdess", 576)
    speech = [clip for clip in clips if clip.tags["channel"] == "speech"]
    intensities = Counter((clip.label == "neutral", clip.name.split("-")[3]) for clip in speech)
    assert intensities == {(True, "01"): 48, (False, "01"): 168, (False, "02"): 168}
    infos = [soundfile.info(clip.path) for clip in clips]
    assert Counter(info.channels for info in infos) == {1: 575, 2: 1}
    assert {(info.samplerate, info.format, info.subtype) for info in infos} == {(48000, "WAV", "PCM_16")}


@pytest.mark.parametrize(("n_clips", "n_song"), [(192, 0), (193, 1), (240, 48), (600, 200)])
def test_ravdess_song_follows_speech(n_clips, n_song, tmp_path, coded_voice):
    song = [clip for clip in twin(tmp_path, "ravdess", n_clips) if clip.tags["channel"] == "song"]
    labels, speakers = Counter(clip.label for clip in song), {clip.speaker for clip in song}
    assert len(song) == n_song
    assert "Actor_18" not in speakers and not labels.keys() & {"disgust", "surprised"}
    if n_song > 1:
        assert len(labels) == 6 and max(labels.values()) - min(labels.values()) <= 2 and len(speakers) == 23


@pytest.mark.parametrize("name", [name for name, row in protocols.PROTOCOLS.items() if row.classes])
def test_every_protocol_of_classes_divides_a_twin_of_the_usual_size(name, tmp_path, coded_voice):
    protocol = protocols.PROTOCOLS[name]
    division = protocols.division(protocol, twin(tmp_path, protocol.corpus, RunConfig.clips), allow_incomplete=True)
    assert not [note for note in division.notes if "left out" in note]
    assert all({clip.label for clip in fold.train} == set(protocol.classes) for fold in division.folds)


def test_second_labels(tmp_path, coded_voice):
    """Anger and emphasis of FAU Aibo are NEGative; five of a hundred votes of CREMA-D are ties, the others agree."""
    two = {(clip.label, clip.tags["label_2cl"]) for clip in twin(tmp_path / "a", "aibo", 40)}
    assert two == {("A", "NEG"), ("E", "NEG"), ("N", "IDL"), ("P", "IDL"), ("R", "IDL")}
    clips = twin(tmp_path / "c", "cremad", 100)
    assert Counter(clip.tags["voice"] == clip.label for clip in clips) == {True: 95, False: 5}
    assert Counter(clip.tags["voice"] for clip in clips)[""] == 5


def test_largest_twins_have_no_name_twice(tmp_path):
    rng = np.random.default_rng(0)
    for row in synthetic.TWINS.values():
        n_clips = row.clips[-1]
        assert len({utterance.path for utterance in synthetic._plan(row, n_clips, SHORT, rng)}) == n_clips


def contents(root):
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("corpus", "seconds"), [("aibo", SHORT), ("recola", (2.0, 4.0)), ("mediaeval_music", None)])
def test_same_seed_same_bytes(corpus, seconds, tmp_path, monkeypatch):
    write = soundfile.write  # MP3 takes long: the first second will do
    monkeypatch.setattr(soundfile, "write", lambda path, wave, hz, **to: write(path, wave[:hz], hz, **to))
    monkeypatch.setattr(voice, "monologue", lambda arousal, *_: 0.3 * np.sin(9 * np.repeat(arousal, 400)))
    first, again, other = (
        contents(synthetic.synthesize(corpus, tmp_path / name, LEAST_CLIPS[corpus], seed, seconds))
        for name, seed in (("first", 3), ("again", 3), ("other", 4))
    )
    assert first == again
    differing = [name for name in first if name not in ("annotations/songs_info.csv", "partition.csv")]
    # Recordings, their label files and the marker.
    assert len(differing) == {"aibo": 40 + 2 + 1, "recola": 2 * 3 + 1, "mediaeval_music": 5 + 4 + 1}[corpus]
    assert all(first[name] != other[name] for name in differing)


def test_marker(tmp_path, coded_voice):
    assert not synthetic.is_synthetic(tmp_path)
    root = synthetic.synthesize("emodb", tmp_path / "new" / "twin", 70, 5, SHORT)
    assert synthetic.is_synthetic(root)
    marker = {"synthetic": True, "corpus": "emodb", "seed": 5, "clips": 70, "seconds": [0.2, 0.25]}
    marker["generator_version"] = synthetic.GENERATOR_VERSION
    assert json.loads((root / "SYNTHETIC.json").read_text()) == marker


def test_cached_is_made_once(tmp_path, coded_voice):
    root = synthetic.cached("emodb", tmp_path, 70, seed=2)
    assert root == tmp_path / "synthetic" / f"emodb-70-2-v{synthetic.GENERATOR_VERSION}"
    (root / "SYNTHETIC.json").write_text("{}")
    assert synthetic.cached("emodb", tmp_path, 70, seed=2) == root and (root / "SYNTHETIC.json").read_text() == "{}"


def test_cached_while_another_process_is_faster(tmp_path, monkeypatch):
    def overtaken(corpus, root, n_clips, seed):
        root.mkdir(parents=True)
        (root / "SYNTHETIC.json").write_text("{}")
        raise UserError("exists")

    monkeypatch.setattr(synthetic, "synthesize", overtaken)
    assert synthetic.is_synthetic(synthetic.cached("emodb", tmp_path))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"corpus": "emodbb"}, r"unknown corpus 'emodbb'.*'emodb'"),
        *(
            ({"corpus": corpus, "n_clips": least - 1}, f"synthetic {corpus} takes {least} to .* but {least - 1} were")
            for corpus, least in LEAST_CLIPS.items()
        ),
        ({"n_clips": 4201}, "70 to 4200 clips.*4201"),
        ({"seconds": (0.1, 1.0)}, r"\(0\.2, 60\.0\).*\(0\.1, 1\.0\)"),
        ({"seconds": (2.0, 1.0)}, "shortest, longest"),
        ({"corpus": "mediaeval_music", "n_clips": 5, "seconds": (20.0, 45.0)}, r"\(45\.0, 45\.0\)"),
        ({"seed": -1}, "seed of 0 or more.*-1"),
        ({"corpus": "recola", "n_clips": 2, "layout": "web"}, "unknown layout of recola 'web'.*'website'.*avec-2016"),
        ({"layout": "website"}, "unknown layout of emodb 'website'.*leave --layout"),
    ],
)
def test_refuses_impossible_twins(arguments, message, tmp_path):
    with pytest.raises(ValueError if "seconds" in arguments else UserError, match=message):
        synthetic.synthesize(**{"corpus": "emodb", "out": tmp_path / "twin", "n_clips": 70, **arguments})
    assert not list(tmp_path.iterdir())


def test_never_writes_over_anything(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    for out in (tmp_path, tmp_path / "mine.txt"):
        with pytest.raises(UserError, match="not an empty folder"):
            synthetic.synthesize("emodb", out, 70)
    assert contents(tmp_path) == {"mine.txt": b"mine"}


def test_unwritable_place_and_full_disk_leave_nothing(tmp_path, coded_voice, monkeypatch):
    write, written = soundfile.write, []

    def full_after_ten(path, *arguments, **options):
        written.append(path)
        if len(written) > 10:
            raise OSError(28, "No space left on device")
        write(path, *arguments, **options)

    monkeypatch.setattr(soundfile, "write", full_after_ten)
    with pytest.raises(UserError, match="No space left on device"):
        synthetic.synthesize("emodb", tmp_path / "twin", 70, seconds=SHORT)
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot write .*file/twin"):
        synthetic.synthesize("emodb", tmp_path / "file" / "twin", 70, seconds=SHORT)


def test_script_writes_and_states_that_it_is_synthetic(tmp_path, coded_voice, script):
    out = tmp_path / "empty"
    out.mkdir()
    words = ("synthesize.py", "--corpus", "emodb", "--out", out, "--seed", 1, "--clips")
    code, printed, _ = script(*words, 70)
    assert code == 0
    assert all("synthetic" in line for line in printed.splitlines() if not line.startswith("  "))
    assert f"train.py --model attention_blstm_fcn --corpus emodb --data-root {out}" in printed
    assert len(corpora.load("emodb", out).clips) == 70
    assert script(*words, 70) == (
        2,
        "",
        f"error: {out} exists and is not an empty folder; give a new one or remove it\n",
    )
