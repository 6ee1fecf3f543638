"""The corpus check on a small folder with one fault of each sort, and on real clips."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from zoo.data.corpora import emodb as emodb_corpus
from zoo.data.corpora.check import check
from zoo.data.corpora.check_counts import count
from zoo.data.corpora.files import Loaded
from zoo.data.corpora.registry import CORPORA
from zoo.data.protocols.lookup import PROTOCOLS, division
from zoo.data.schema import Clip, Trace
from zoo.data.synthetic.corpora import synthesize
from zoo.errors import UserError

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


def iemocap(root, intervals, seconds=None):
    """Write utterances with the lengths of their labels' intervals, or with others."""
    lines = []
    for number, interval in enumerate(intervals):
        dialog, session = f"Ses0{number % 5 + 1}F_impro01", f"Session{number % 5 + 1}"
        name = f"{dialog}_{'FM'[number // 5 % 2]}{number:03d}"
        wav = root / session / "sentences" / "wav" / dialog
        wav.mkdir(parents=True, exist_ok=True)
        soundfile.write(wav / f"{name}.wav", speech(number, interval if seconds is None else seconds), RATE_HZ)
        lines.append(f"[{6.2901 + number:.4f} - {6.2901 + number + interval:.4f}]\t{name}\tneu\t[2.5, 2.5, 2.5]\n")
    labels = root / "Session1" / "dialog" / "EmoEvaluation" / "Ses01F_impro01.txt"
    labels.parent.mkdir(parents=True, exist_ok=True)
    labels.write_text("".join(lines))
    return root


INTERVALS = [0.5 + 0.01 * number for number in range(20)]


def test_clips_that_are_not_as_long_as_their_labels_are_findings(tmp_path, checked, monkeypatch):
    monkeypatch.setattr("zoo.data.protocols.lookup.count_problems", lambda protocol, clips: [])
    good = checked("iemocap", iemocap(tmp_path / "good", INTERVALS), exit_code=0)
    assert "20 clips of 10 speakers; the release has 10,039" in good and "20 of 10,039 are here" in good
    bad = iemocap(tmp_path / "bad", INTERVALS, 0.25)
    out = checked("iemocap", bad)
    assert "labels' intervals and audio: 20" in out and "F000: 0.25 s of audio, 0.50 s by its label" in out
    assert "20 of 20 clips last exactly 0.25 s" in out and "20 clip(s) are over 0.1 s longer or shorter" in out
    (bad / "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav").write_bytes(b"RIFF")
    report = checked("iemocap", bad, "--json")
    assert len(report["wrong_length"]) == 19 and report["one_length"] == []  # of 19 nothing is said


def test_interval_may_differ_by_a_tenth_of_a_second(tmp_path):
    def clip(name, seconds, interval):
        return replace(make(tmp_path, name, speech(1, seconds)), seconds=interval)

    intervals = {"a": 1.09, "b": 0.91, "c": 1.11, "d": 0.89, "e": None, "f": -1.0}
    clips = [clip(name, 1.0, interval) for name, interval in intervals.items()]
    found = check(Loaded(clips, {}, [], []), rate_hz=RATE_HZ).wrong_length
    assert [line.split(":")[0] for line in found] == ["c", "d", "f"]


def test_equally_long_clips_are_found_where_most_are_and_not_of_rated_recordings(tmp_path):
    def found(n_same, n_other, trace=None):
        names = [f"{n}" for n in range(n_same + n_other)]
        clips = [make(tmp_path, name, speech(n, 0.1 if n < n_same else 0.2 + n / 100)) for n, name in enumerate(names)]
        return check(Loaded([replace(clip, trace=trace) for clip in clips], {}, [], []), rate_hz=RATE_HZ).one_length

    assert found(16, 4) == ["16 of 20 clips last exactly 0.1 s"]
    assert found(15, 5) == found(19, 0) == found(20, 0, Trace(("arousal",), np.zeros((3, 1)), 0.04)) == []


def test_counts_by_protocol_and_group_stand_beside_those_of_the_release(tmp_path, checked):
    root = iemocap(tmp_path, INTERVALS)
    out = " ".join(checked("iemocap", root).replace("│", " ").split())
    sessions = "session 1 4 521 session 2 4 530 session 3 4 627 session 4 4 534 session 5 4 731"
    assert f"iemocap-impro-4 20 2,943 {sessions}" in out
    assert "iemocap-4 20 5,531 session 1 4 1,085" in out
    found = checked("iemocap", root, "--json")
    assert found["release_clips"] == 10_039
    groups = {f"session {n}": [4, size] for n, size in enumerate((521, 530, 627, 534, 731), start=1)}
    assert found["protocols"]["iemocap-impro-4"] == {"clips": 20, "expected": 2_943, "groups": groups}


EXPECTED = {
    "cremad-voice-actors": None,
    "aibo-5": 18_216,
    "aibo-2": 18_216,
    "ravdess-song-actors": 1_012,
    "emodb-speakers": 535,
}
EXPECTED |= {"ravdess-inner": 960, "ravdess-strangers": 1_200, "ravdess-emobox-6": 1_440, "ravdess-luna-5": 1_440}
EXPECTED |= {"ravdess-actors": 1_440, "ravdess-random-67": 1_440, "cremad-actors": 7_442, "mediaeval-2013": 744}
EXPECTED |= {"avec-2016": 18, "recola-nested": 18, "recola-kfold-10": 18, "iemocap-impro-4": 2_943, "iemocap-4": 5_531}
EXPECTED |= {"ravdess-both-actors": 2_452, "ravdess-both-random-67": 2_452, "recola-full": 46}


def test_every_protocol_is_counted_with_the_figure_of_its_source():
    tags = {"session": "1", "kind": "script", "part": "none", "channel": "none", "voice": "none", "label_2cl": "none"}
    clip = Clip(Path("none.wav"), "none", "none", "none", tags)
    found = {name: one.expected for corpus in CORPORA for name, one in count(corpus, [clip]).protocols.items()}
    assert found == EXPECTED


def emodb(n_more):
    """The clips of EmoDB, and as many more of anger."""
    numbers = dict(zip(emodb_corpus.WORDS, (127, 81, 46, 69, 71, 79, 62), strict=True))
    numbers["anger"] += n_more
    return [
        Clip(Path(f"{word}{n}"), f"{word}{n}", "03", word) for word, number in numbers.items() for n in range(number)
    ]


def test_a_release_with_more_clips_is_surplus_and_not_incomplete(tmp_path, checked):
    assert (count("emodb", emodb(0)).short, count("emodb", emodb(0)).surplus) == ([], [])
    more = count("emodb", emodb(281))
    assert (more.short, more.surplus) == ([], ["emodb-speakers: all speakers, anger: expected 127 clips, found 408"])
    report = check(Loaded([], {}, [], []), rate_hz=RATE_HZ, problems=more.short, surplus=more.surplus)
    (sentence,) = report.advice
    assert "another release, or files were added" in sentence and "omplete the corpus" not in sentence
    with pytest.raises(UserError, match=r"found 408\nThis is another release, or files were added"):
        division(PROTOCOLS["emodb-speakers"], emodb(281))
    fewer = [clip for clip in emodb(281) if clip.label != "fear"]
    assert count("emodb", fewer).short == ["emodb-speakers: all speakers, fear: expected 69 clips, found 0"]
    with pytest.raises(UserError, match="Complete the corpus"):
        division(PROTOCOLS["emodb-speakers"], fewer)


def test_the_other_release_of_emodb_is_named(tmp_path, checked):
    for number in range(816):
        path = tmp_path / "wav" / f"{number // 80 + 3:02d}a{number % 80:02d}{'WLEAFNT'[number % 7]}a.wav"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")  # only their number matters here
    out = checked("emodb", tmp_path)
    assert "816 clips of 11 speakers; as in EmoDB 2.0; the release has 535" in out and "omplete the corpus" not in out


def test_names_that_act_on_a_terminal_are_escaped(tmp_path, checked):
    root = tmp_path / "a\x1b]0;owned\x07\u202e"
    root.mkdir()
    speak(root, "wav/03a01Fa")
    out = checked("emodb", root)
    assert r"a\x1b]0;owned\x07\u202e" in out and not {"\x1b]", "\x07", "\u202e"} & set(out)


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
