"""The corpus check on a small folder with one fault of each sort, and on real clips."""

import json
import shutil

import numpy as np
import pytest
import soundfile

from zoo.data.corpora.check import check
from zoo.data.corpora.files import Loaded
from zoo.data.corpora.registry import CORPORA
from zoo.data.schema import Clip
from zoo.data.synthetic.corpora import synthesize

RATE_HZ = 16_000


def speech(seed, seconds=1.0):
    return np.random.default_rng(seed).uniform(-0.5, 0.5, int(seconds * RATE_HZ))


def make(folder, name, samples, speaker="A", label="neutral", rate_hz=RATE_HZ):
    path = folder / f"{name}.wav"
    soundfile.write(path, samples, rate_hz)
    return Clip(path, name, speaker, label)


def test_clean_corpus(tmp_path):
    clips, seen = [make(tmp_path, "a1", speech(1)), make(tmp_path, "a2", speech(2, 2.0), label="angry")], []
    clips.append(make(tmp_path, "b1", speech(3, 6.0), speaker="B"))
    report = check(Loaded(clips, {"other files": 2}, [], []), rate_hz=RATE_HZ, on_clip=seen.append)
    assert report.advice == [] and seen == [1, 2, 3] and report.clips == 3
    assert report.labels == {"neutral": 2, "angry": 1} and report.speakers == {"A": 2, "B": 1}
    assert report.rates_hz == {RATE_HZ: 3} and report.ignored == {"other files": 2}
    assert report.seconds == {"total": 9.0, "min": 1.0, "median": 2.0, "max": 6.0}


def test_every_fault_is_found_once_and_says_what_to_do(tmp_path):
    clipped, touching = speech(4), speech(5)
    clipped[:17] = touching[:16] = 1.0  # 17 of 16,000 is over 0.1 %, 16 is not
    samples = {"good": speech(1), "copy": speech(1), "faint": speech(3) * 0.001, "clipped": clipped}
    samples |= {"touching": touching, "silent": np.zeros(RATE_HZ), "short": speech(6, 0.02)}
    samples |= {"pointer": speech(7), "cut": speech(8)}
    clips = [make(tmp_path, "rate", speech(2), rate_hz=8_000), *(make(tmp_path, *item) for item in samples.items())]
    clips[-2].path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")
    clips[-1].path.write_bytes(clips[-1].path.read_bytes()[:-100])
    loaded = Loaded(clips, {}, missing=["m1", "m2"], duplicates=["twice.wav"])
    report = check(loaded, rate_hz=RATE_HZ, problems=["angry: 0, expected 7"])
    assert report.duplicates == [["good", "copy"]]
    assert report.low_rate == {"rate": 8_000}
    assert report.resampled == ["resampled copy: 8000 Hz where the release has 16000 (1 of 6 clips)"]
    assert report.near_silent == ["faint"]
    assert report.clipped == {"clipped": pytest.approx(17 / 16_000)}
    assert set(report.unreadable) == {"silent", "too-short", "pointer", "truncated"}
    assert str(clips[-1].path) in report.unreadable["truncated"][0]
    assert (report.missing, report.repeated) == (["m1", "m2"], ["twice.wav"])
    starts = [sentence.split(". ")[0] for sentence in report.advice]
    assert "1 clip(s) are unreadable (pointer)" in starts and "2 labelled clip(s) have no audio file" in starts
    assert len(report.advice) == 4 + 1 + 7
    assert any("git lfs pull" in sentence for sentence in report.advice)


@pytest.mark.parametrize(
    ("release_hz", "found_hz", "low"), [(48_000, 16_000, 0), (16_000, 48_000, 0), (48_000, 8_000, 2), (8_000, 8_000, 0)]
)
def test_a_copy_at_another_rate_is_reported_once(tmp_path, release_hz, found_hz, low):
    clips = [make(tmp_path, name, speech(seed), rate_hz=found_hz) for seed, name in enumerate("ab")]
    report = check(Loaded(clips, {}, [], []), rate_hz=release_hz)
    sentence = f"resampled copy: {found_hz} Hz where the release has {release_hz} (2 of 2 clips)"
    assert report.resampled == [sentence] * (found_hz != release_hz)
    assert len(report.low_rate) == low
    assert bool(report.advice) == bool(low)  # resampling alone needs no action


def test_corpus_without_a_readable_clip(tmp_path):
    report = check(Loaded([Clip(tmp_path / "none.wav", "none", "A", "neutral")], {}, [], []), rate_hz=RATE_HZ)
    assert report.seconds == {} and report.rates_hz == {} and list(report.unreadable) == ["missing"]
    assert check(Loaded([], {}, [], []), rate_hz=RATE_HZ).advice == []


@pytest.fixture
def checked(script):
    """Run the script; with `exit_code` 2 return the error, else the text, or with --json the object, that it prints."""

    def run(corpus, root, *words, exit_code=1):
        code, out, err = script("check_corpus.py", "--corpus", corpus, "--data-root", root, *words)
        assert code == exit_code
        return err if code == 2 else json.loads(out) if "--json" in words else out

    return run


def speak(root, *names):
    for seed, name in enumerate(names):
        (root / name).parent.mkdir(exist_ok=True)
        soundfile.write(root / f"{name}.wav", speech(seed), RATE_HZ)


def test_script_ends_with_what_to_do_and_returns_1(tmp_path, checked):
    speak(tmp_path, "wav/03a01Fa", "wav/03a01Wa", "wav/08a01Na")
    (tmp_path / "wav" / "03a01Fa.wav").write_bytes(b"")
    out = checked("emodb", tmp_path)
    assert "3 clips of 2 speakers" in out and "unreadable (empty): 1" in out and "03a01Fa.wav: expected" in out
    assert "unreadable (empty)" in out.split("What to do")[1] and "delay" not in out
    report = checked("emodb", tmp_path, "--json")
    assert report["corpus"] == "emodb" and report["clips"] == 3 and report["rates_hz"] == {"16000": 2}
    assert "label_delay" not in report and len(report["advice"]) == 3
    assert all(problem.startswith("emodb-") for problem in report["problems"]) and len(report["problems"]) > 1


def test_script_returns_0_for_a_resampled_copy(tmp_path, checked, monkeypatch):
    monkeypatch.setattr("zoo.data.protocols.lookup.count_problems", lambda protocol, clips: [])
    speak(tmp_path, "Actor_01/03-01-01-01-01-01-01")
    out = checked("ravdess", tmp_path, exit_code=0)
    assert "resampled copy: 16000 Hz where the release has 48000 (1 of 1 clips)" in out and "complete and sound" in out


def test_script_without_the_voice_votes_of_cremad_states_what_to_add(tmp_path, checked):
    speak(tmp_path, "AudioWAV/1001_DFA_ANG_XX")
    problems = checked("cremad", tmp_path, "--json")["problems"]
    (problem,) = [problem for problem in problems if "cremad-voice-actors" in problem]
    assert "processedResults/summaryTable.csv, found none for 1 of 1" in problem


def test_help_lists_the_corpora(script):
    code, listed, _ = script("check_corpus.py", "--help")
    assert code == 0
    assert all(f"  {name} " in listed and corpus.title in listed for name, corpus in CORPORA.items())


@pytest.fixture(scope="module")
def rated(tmp_path_factory):
    """Five training recordings of half a minute, with ratings that follow the speech by 1.6 s."""
    root = synthesize("recola", tmp_path_factory.mktemp("twin") / "RECOLA", 10, seconds=(30, 30))
    for path in root.glob("ratings_gold_standard/*/train_*.arff"):
        head, _, rows = path.read_text().partition("@data\n\n")
        values = [float(row.split(",")[2]) for row in rows.split()]
        late = values[:1] * 40 + values[:-40]
        lines = [f"{path.stem},{step * 0.04:.2f},{value:.6f}" for step, value in enumerate(late)]
        path.write_text(f"{head}@data\n\n" + "\n".join(lines) + "\n")
    return root


def test_script_ends_with_the_label_delay_of_a_rated_corpus(rated, checked):
    end = checked("recola", rated).split("What to do")[1]  # exit code 1 for five recordings a part
    assert "Label delay, in 5 training recordings of recola-nested" in end
    delay = checked("recola", rated, "--json")["label_delay"]
    assert delay["seconds"] == delay["lags"]["arousal"]["seconds"] == pytest.approx(1.6, abs=0.3)
    assert f"arousal: {delay['seconds']:.4g} s behind the energy of the sound (correlation 0." in end
    assert end.splitlines()[-1] == f"  Train with --label-delay-seconds {delay['seconds']:.4g}"


def test_script_states_where_no_lag_correlates(rated, checked, tmp_path):
    """Each recording is given the ratings of another."""
    root = shutil.copytree(rated, tmp_path / "RECOLA")
    for folder in (root / "ratings_gold_standard").iterdir():
        texts = [(folder / f"train_{number}.arff").read_text() for number in range(1, 6)]
        for number, text in enumerate(texts, start=1):
            other = (number + 1) % 5 + 1
            (folder / f"train_{other}.arff").write_text(text.replace(f"train_{number},", f"train_{other},"))
    end = checked("recola", root).split("Label delay")[1]
    assert end.count("no lag correlates") == 2 and "Train without --label-delay-seconds" in end


def test_script_states_why_there_is_no_label_delay(checked, tmp_path):
    end = checked("recola", synthesize("recola", tmp_path / "RECOLA", 2, seconds=(1, 1))).split("Label delay")[1]
    assert "not estimated: expected 5 training recordings or more of 20 s or more, found 0 of 1" in end
    assert "Train with" not in end


def test_script_refuses_what_is_no_corpus(tmp_path, checked):
    assert "Known: " in checked("ravdes", tmp_path, exit_code=2)
    assert "empty folder" in checked("ravdess", tmp_path, exit_code=2)


def test_script_reports_what_the_shared_copy_of_ravdess_lacks(shared_data, checked):
    report = checked("ravdess", shared_data / "ravdess", "--json")
    assert (report["clips"], len(report["speakers"])) == (1200, 20)
    assert report["unreadable"] == {} and report["missing"] == []
    absent = [problem for problem in report["problems"] if "found 0" in problem]
    assert len(report["problems"]) == len(absent) == 4  # Actor_21 ... Actor_24; song is another archive
    assert report["resampled"] == ["resampled copy: 16000 Hz where the release has 48000 (1200 of 1200 clips)"]
    assert report["duplicates"] == [["03-01-03-01-02-01-07", "03-01-03-01-02-02-07"]]
