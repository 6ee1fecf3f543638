"""Whole jobs against other toolkits: what is written for them, read of them and counted. None is installed here."""

import configparser
import csv
import json
import sys
from pathlib import Path

import pytest

from bench import peer_environments, peer_jobs, peers, process_tree
from zoo.data.schema import Clip, Fold
from zoo.errors import UserError

ALLOCATE = "import time; held = bytearray(60 * 2**20); time.sleep(0.6)"


@pytest.fixture
def fold(tmp_path):
    """Two speakers a side, a clip of each emotion, and clips of one name in different folders."""
    sides = []
    for side in ("train", "validation", "test"):
        clips = []
        for speaker in ("a", "b"):
            for label in ("angry", "sad"):
                path = tmp_path / "corpus" / side / speaker / f"{label}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
                clips.append(Clip(path, f"{side}-{speaker}-{label}", f"{side}{speaker}", label))
        sides.append(tuple(clips))
    return Fold("4", *sides)


def read(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_nkululeko_trains_on_training_clips_and_tests_on_test_clips(fold, tmp_path):
    arguments = peer_jobs.write_nkululeko(fold, tmp_path, "eGeMAPSv02")
    assert arguments == ["-m", "nkululeko.nkululeko", "--config", str(tmp_path / "job.ini")]
    settings = configparser.ConfigParser()
    settings.read(tmp_path / "job.ini")
    for side in ("train", "test"):
        assert settings["DATA"][f"{side}.split_strategy"] == side
        rows = read(Path(settings["DATA"][side]))
        assert [(row["file"], row["speaker"], row["emotion"]) for row in rows] == [
            (str(clip.path), clip.speaker, clip.label) for clip in getattr(fold, side)
        ]
    assert settings["FEATS"]["set"] == "eGeMAPSv02"
    assert settings["DATA"]["labels"] == "['angry', 'sad']"
    assert settings["MODEL"]["kernel"] == "linear"


def test_the_last_recall_that_nkululeko_prints_is_read():
    text = "DEBUG: x: UAR: .25, (+-.2/.3), ACC: .3\nDEBUG: x: epoch: 0, UAR: .428, (+-.372/.463), ACC: .41\n"
    assert peer_jobs.nkululeko_ua(text) == 0.428


def test_nkululeko_without_a_recall_is_an_error():
    with pytest.raises(UserError, match="printed no 'UAR: number'"):
        peer_jobs.nkululeko_ua("DEBUG: done")


def test_autrainer_has_every_side_and_clips_of_one_name_apart(fold, tmp_path):
    peer_jobs.write_autrainer(fold, tmp_path, epochs=3)
    for side, name in (("train", "train"), ("validation", "dev"), ("test", "test")):
        rows = read(tmp_path / "data" / f"{name}.csv")
        clips = getattr(fold, side)
        assert [row["emotion"] for row in rows] == [clip.label for clip in clips]
        links = [tmp_path / "data" / "default" / row["filename"] for row in rows]
        assert [link.resolve() for link in links] == [clip.path.resolve() for clip in clips]
    configuration = json.loads((tmp_path / "conf" / "config.yaml").read_text())
    assert (configuration["iterations"], configuration["device"]) == (3, "cpu")


def write_predictions(folder, labels):
    path = folder / "results" / "job" / "training" / "one" / "_test" / "test_results.csv"
    path.parent.mkdir(parents=True)
    path.write_text("index,predictions\n" + "".join(f"{index},{label}\n" for index, label in labels))


def test_recall_of_autrainer_is_the_mean_over_classes(fold, tmp_path):
    """Of angry, sad, angry, sad both angry are right and one sad: (1 + 1/2) / 2."""
    write_predictions(tmp_path, [(0, "angry"), (3, "angry"), (2, "angry"), (1, "sad")])
    assert peer_jobs.autrainer_ua(tmp_path, fold.test) == 0.75


def test_recall_weighs_classes_alike_whatever_their_clips(fold, tmp_path):
    """Three of angry, all right, and one of sad, wrong: 0.5, where the share of right ones is 0.75."""
    test = (*fold.test[:1], *fold.test[:3])
    write_predictions(tmp_path, [(0, "angry"), (1, "angry"), (2, "angry"), (3, "angry")])
    assert [clip.label for clip in test] == ["angry", "angry", "sad", "angry"]
    assert peer_jobs.autrainer_ua(tmp_path, test) == 0.5


def test_predictions_of_autrainer_that_lack_a_clip_are_an_error(fold, tmp_path):
    write_predictions(tmp_path, [(0, "angry")])
    with pytest.raises(UserError, match="expected 4 predictions, a test clip each, found 1"):
        peer_jobs.autrainer_ua(tmp_path, fold.test)


def test_autrainer_without_predictions_is_an_error(fold, tmp_path):
    with pytest.raises(UserError, match=r"expected one _test/test_results\.csv"):
        peer_jobs.autrainer_ua(tmp_path, fold.test)


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="memory of processes is measured on Linux only")
class TestProcessTree:
    def test_memory_is_of_the_whole_tree(self, tmp_path):
        """Two processes hold 60 MiB each, beside Python's own."""
        both = (
            f"import subprocess, sys\np = subprocess.Popen([sys.executable, '-c', {ALLOCATE!r}])\n{ALLOCATE}\np.wait()"
        )
        cost = process_tree.measured([sys.executable, "-c", both], tmp_path, tmp_path / "log", {})
        assert 120 < cost.mib < 300
        assert cost.seconds > 0.6

    def test_processor_time_counts_children_and_not_sleep(self, tmp_path):
        busy = "import time\nwhile time.process_time() < 0.3: pass"
        tree = f"import subprocess, sys, time; subprocess.run([sys.executable, '-c', {busy!r}]); time.sleep(0.5)"
        cost = process_tree.measured([sys.executable, "-c", tree], tmp_path, tmp_path / "log", {})
        assert 0.3 <= cost.processor < cost.seconds

    def test_output_and_environment_are_those_of_the_command(self, tmp_path):
        command = [sys.executable, "-c", "import os; print(os.environ['OF_A_TEST'], os.getcwd())"]
        cost = process_tree.measured(command, tmp_path, tmp_path / "log", {"OF_A_TEST": "here"})
        assert cost.output.split() == ["here", str(tmp_path)]

    def test_a_failed_command_is_an_error_with_its_last_lines(self, tmp_path):
        command = [sys.executable, "-c", "print('what went wrong'); raise SystemExit(3)"]
        with pytest.raises(UserError, match="exit code 3") as caught:
            process_tree.measured(command, tmp_path, tmp_path / "log", {})
        assert "what went wrong" in caught.value.lines


def test_costs_of_two_commands_add_up_and_memory_does_not():
    total = process_tree.Cost(1, 2, 300, "a") + process_tree.Cost(10, 20, 200, "b")
    assert total == process_tree.Cost(11, 22, 300, "ab")


def write_facts(folder, name):
    (folder / name).mkdir(parents=True)
    facts = {"version": "1.2", "licence": "MIT", "torch": "2.13.0+cpu", "python": "3.11.7"}
    (folder / name / "environment.json").write_text(json.dumps(facts))


def test_a_toolkit_without_an_environment_is_left_out_with_the_reason(tmp_path):
    assert "no --peers DIR" in peers.absence(None, "nkululeko")
    (tmp_path / "nkululeko").mkdir()  # cut short: no facts in it
    assert peers.absence(tmp_path, "nkululeko").startswith("nkululeko left out: no whole environment")
    write_facts(tmp_path, "autrainer")
    assert peers.absence(tmp_path, "autrainer") == ""
    described = peer_environments.described(tmp_path, "autrainer")
    assert described == "autrainer 1.2 (MIT), torch 2.13.0+cpu, Python 3.11.7"


def test_a_job_has_seconds_processor_memory_and_recall_side_by_side():
    ours = peers.Outcome(process_tree.Cost(10, 8, 600, ""), 0.5)
    theirs = peers.Outcome(process_tree.Cost(5, 16, 300, ""), 0.4, "its C 0.1")
    found = {row.name: (row.ours, row.reference) for row in peers.rows("job cold", ours, theirs, "against it")}
    assert found == {
        "job cold": (10, 5),
        "job cold processor": (8, 16),
        "job cold memory": (600, 300),
        "job cold UA": (0.5, 0.4),
    }
    alone = peers.rows("job cold", ours, None, "it was left out")
    assert all(row.reference is None for row in alone)
    assert "it was left out" in alone[0].note


def test_both_states_of_a_job_share_the_cache_and_have_runs_of_their_own(monkeypatch, fold, tmp_path):
    """Kept features are those that the cold run left; absent toolkits are not called."""
    commands = []

    def run(command, folder, log, environment):
        commands.append(command)
        out = Path(command[command.index("--out") + 1])
        out.mkdir(parents=True)
        (out / "metrics.json").write_text('{"ua": {"value": 0.5}}')
        return process_tree.Cost(1, 1, 1, "")

    monkeypatch.setattr(peers, "measured", run)
    monkeypatch.setattr(peers, "the_fold", lambda root: fold)
    rows = peers.measure(False, None, str(tmp_path), epochs=2, jobs=("compare_svm", "attention_fcn"))
    assert [row.name for row in rows[::4]] == ["compare_svm cold", "compare_svm kept", "attention_fcn cold"]
    caches, outs = ([command[command.index(f) + 1] for command in commands] for f in ("--cache-dir", "--out"))
    assert caches[0] == caches[1] != caches[2]
    assert len(set(outs)) == 3
    assert commands[2][commands[2].index("--epochs") + 1] == "2"
    assert all(command[command.index("--fold") + 1] == "4" for command in commands)


def test_an_environment_is_made_with_pinned_versions_and_torch_for_processors(tmp_path):
    for peer in peer_environments.PEERS.values():
        venv, torch, rest = peer_environments.commands(peer, tmp_path / peer.name, "https://index")
        assert venv[1:] == ["-m", "venv", str(tmp_path / peer.name)]
        assert torch[torch.index("--extra-index-url") + 1] == "https://index"
        assert "--extra-index-url" not in rest
        assert all("==" in package for package in peer.packages)


def test_an_environment_cut_short_is_made_anew(monkeypatch, tmp_path):
    """The facts are written last; what lies there without them goes."""
    (tmp_path / "nkululeko").mkdir()
    (tmp_path / "nkululeko" / "half").touch()
    facts = '{"version": "1.14.1", "licence": "MIT", "torch": "2", "python": "3"}'
    monkeypatch.setattr(peer_environments, "_call", lambda command: facts)
    peer_environments.make(peer_environments.PEERS["nkululeko"], tmp_path, "")
    assert [path.name for path in (tmp_path / "nkululeko").iterdir()] == ["environment.json"]
    assert peer_environments.facts_of(tmp_path, "nkululeko")["version"] == "1.14.1"


def test_a_step_that_fails_names_the_command(monkeypatch, tmp_path):
    monkeypatch.setattr(peer_environments, "commands", lambda *_: [[sys.executable, "-c", "raise SystemExit('no')"]])
    with pytest.raises(UserError, match="failed; is the package index reached") as caught:
        peer_environments.make(peer_environments.PEERS["nkululeko"], tmp_path, "")
    assert "no" in caught.value.lines
    assert peer_environments.facts_of(tmp_path, "nkululeko") is None


def test_facts_are_asked_of_the_environment_itself(monkeypatch, tmp_path):
    """This test's own interpreter stands in for the environment's, and pytest for the toolkit."""
    pytest.importorskip("torch")
    (tmp_path / "pytest").mkdir()
    monkeypatch.setattr(peer_environments, "python_of", lambda folder: Path(sys.executable))
    peer_environments.ask_facts(peer_environments.Peer("pytest", (), ()), tmp_path / "pytest")
    facts = peer_environments.facts_of(tmp_path, "pytest")
    assert (facts["version"], facts["licence"]) == (pytest.__version__, "MIT")
