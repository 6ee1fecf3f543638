"""The seven commands of docs/own-data.md, run as they are written there, from a folder of recordings to its answers."""

import csv
import shlex
from pathlib import Path

import pytest

from zoo.data.corpora import registry
from zoo.data.synthetic.corpora import synthesize

ROOT = Path(__file__).parents[2]
# What is added to make it quick, and as synthetic voices are no speech to the detector.
ADDED = {"train": ("--recipe", "quick", "--epochs", "1", "--bands", "12"), "predict": ("--any-sound",)}


def commands():
    """Return the words of each command in the guide's first block."""
    block = (ROOT / "docs" / "own-data.md").read_text().split("<!-- commands -->")[1].split("<!-- end -->")[0]
    return [shlex.split(line)[1:] for line in block.splitlines() if line.startswith("ser ")]


@pytest.fixture
def mine(tmp_path):
    """Make the folder of the guide: `labels.csv` of recordings by five speakers, and three new ones."""
    folder = tmp_path / "mine"
    synthesize("emodb", folder / "recordings", 100, seed=0, seconds=(0.5, 0.7))
    clips = registry.load("emodb", folder / "recordings").clips
    (folder / "new").mkdir()
    for number, clip in enumerate(clips[:3]):
        clip.path.rename(folder / "new" / ("clip.wav" if number == 0 else clip.path.name))
    with (folder / "labels.csv").open("w", newline="") as file:
        rows = [(clip.path.relative_to(folder), clip.speaker, clip.label) for clip in clips[3:]]
        csv.writer(file).writerows([("file", "speaker", "emotion"), *rows])
    return folder


@pytest.mark.slow
def test_the_guide_leads_from_recordings_to_a_served_model(script, mine):
    told = {}
    for name, *words in commands():
        file = f"{name.replace('-', '_')}.py"
        code, printed, errors = script(file, *words, *ADDED.get(name, ()))
        assert code == 0, f"{name}: {errors}{printed}"
        told[name, words[0] if name == "label" else ""] = printed
    assert len(told) == 7
    with (mine.parent / "queue.csv").open() as file:
        queue = list(csv.DictReader(file))
    with (mine.parent / "answers.csv").open() as file:
        answers = list(csv.DictReader(file))
    names = {path.name for path in (mine / "new").iterdir()}
    assert {Path(row["file"]).name for row in queue} == {Path(row["file"]).name for row in answers} == names
    assert all(row["emotion"] and 0 <= float(row["confidence"]) <= 1 for row in answers)
    assert (mine / "more.csv").read_text().count("angry,anna,human") == 1
