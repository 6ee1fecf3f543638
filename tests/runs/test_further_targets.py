"""Further targets of clips: kinds found, clips that lack the main target, and labels that cannot be learnt."""

from dataclasses import replace
from pathlib import Path

import pytest

from zoo.data.schema import Clip, Fold
from zoo.errors import UserError
from zoo.runs.further_targets import find, remarks, with_partly_labelled


def clip(name, speaker="anna", label="sad", tags=None, **targets):
    return Clip(Path(f"{name}.wav"), name, speaker, label, tags or {}, targets=targets)


def test_kinds_and_classes_are_found_in_the_labels():
    clips = [clip("a", sex="m", age=31), clip("b", sex="f", age=24.5), clip("c", age=24)]
    assert find(clips, ("age", "sex")) == {"age": [], "sex": ["f", "m"]}


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        ([{"sax": "m"}, {"sax": "f"}], "sex: none of 2 clips has it. unknown target 'sex'. Did you mean 'sax'"),
        ([{}, {}], "sex: none of 2 clips has it"),
        ([{"sex": "m"}, {"sex": "m"}, {}], "expected 2 to 1000 classes, found 'm' alone among 2 labelled clips"),
        ([{"sex": "m"}, {"sex": 1.0}], "expected either numbers or names of classes, found both"),
        ([{"sex": 1.0}, {"sex": float("nan")}], "b has nan, expected a finite number"),
        ([{"sex": float("inf")}], "a has inf, expected a finite number"),
        # A table's column with one text among its numbers is a column of texts.
        ([{"sex": text} for text in ("31", "24", "inf")], "found 2 different numbers and 'inf'"),
        ([{"sex": str(number)} for number in range(1001)], "found 1001 different numbers"),
        ([{"sex": f"c{number}"} for number in range(1001)], "found 1001 classes among 1001"),
    ],
)
def test_labels_that_are_no_target_are_refused(targets, said):
    clips = [clip(name, **one) for name, one in zip(["a", "b", *map(str, range(1000))], targets, strict=False)]
    with pytest.raises(UserError) as error:
        find(clips, ("sex",))
    assert said in str(error.value)


FOLD = Fold(
    "0",
    (clip("a", "anna", sex="f", age=30), clip("b", "ben", sex="m", age=40), clip("c", "cem")),
    (clip("d", "dora", sex="f", age=20),),
    (clip("e", "emil", sex="m", age=50), clip("f", "fay", sex="f", age=50)),
)
HEADS = {"sex": ["f", "m"], "age": []}


def test_clips_without_the_main_target_are_trained_on_unless_their_speaker_or_recording_is_held_out():
    partly = [clip(f"new-{speaker}", speaker, "", sex="m") for speaker in ("anna", "dora", "emil", "gus")]
    held_out = [replace(clip("same file", "hal", "", sex="m"), path=Path("e.wav")), clip("nothing", "anna", "")]
    held_out += [clip("of the test part", "ida", "", {"split": "test"}, sex="m")]
    taken = clip("of the training part", "ida", "", {"split": "Train"}, sex="m")
    (fold,) = with_partly_labelled([FOLD], [*FOLD.train, *partly, *held_out, taken], ("sex", "age"))
    assert [one.name for one in fold.train] == ["a", "b", "c", "new-anna", "new-gus", "of the training part"]
    assert fold.sides[1:] == FOLD.sides[1:]
    assert remarks([fold], HEADS, ("sad",))[0] == "3 of 9 clips lack the main target; they are trained on, never tested"


def test_what_is_missing_is_said_once_for_every_target():
    said = remarks([FOLD, replace(FOLD, name="1")], HEADS, ("sad",))
    assert said == (
        "sex is missing for 1 of 6 clips",
        "age is missing for 1 of 6 clips",
        "age: one number for all test clips of fold 0, 1, where CCC says nothing (0 or undefined)",
    )
    unseen = replace(FOLD, test=(clip("g", sex="x"), clip("h", sex="f")))
    assert "sex: no training clip of x in fold 0: never predicted there" in remarks([unseen], HEADS, ("sad",))
    without = replace(FOLD, test=(clip("g"),))
    assert "sex: no test clip has a label in fold 0" in remarks([without], HEADS, ("sad",))


@pytest.mark.parametrize(
    ("train", "said"),
    [
        ((clip("a"), clip("b")), "sex: fold 0 has no label among 2 training clips"),
        ((clip("a", sex="f", age=1), clip("b", sex="f", age=2)), "sex: fold 0 has 2 labels, all 'f' among 2 training"),
        ((clip("a", sex="f", age=1), clip("b", sex="m", age=1)), "all 1 among 2 training clips"),
    ],
)
def test_a_fold_that_cannot_teach_a_target_is_refused(train, said):
    with pytest.raises(UserError) as error:
        remarks([replace(FOLD, train=train)], HEADS, ("sad",))
    assert said in str(error.value)
    assert ("CCC is undefined where all numbers are one" in str(error.value)) == ("all 1 " in said)
