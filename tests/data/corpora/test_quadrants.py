"""Quadrants by hand: points on every side, the neutral zone, emotions at Russell's angles, and the way back."""

import math
from pathlib import Path

import numpy as np
import pytest

from zoo.data.corpora import quadrants
from zoo.data.schema import Clip
from zoo.errors import UserError


def clip(name="a", label="", **targets):
    return Clip(Path(name), name, "s", label, targets=targets)


@pytest.mark.parametrize(
    ("arousal", "valence", "expected"),
    [
        (0.5, 0.5, "active-pleasant"),
        (0.5, -0.5, "active-unpleasant"),
        (-0.5, -0.5, "passive-unpleasant"),
        (-0.5, 0.5, "passive-pleasant"),
        (0.0, 0.5, "active-pleasant"),  # on an axis: the positive side
        (0.1, -0.1, "neutral"),
        (0.2, 0.0, "active-pleasant"),  # on the edge of the zone
    ],
)
def test_quadrant_of_a_point(arousal, valence, expected):
    assert quadrants.quadrant(arousal, valence) == expected


def test_radius_of_the_neutral_zone():
    assert quadrants.quadrant(0.3, 0.4, radius=0.51) == "neutral"
    assert quadrants.quadrant(0.3, 0.4, radius=0.5) == "active-pleasant"
    assert quadrants.quadrant(0.0, 0.0, radius=0.0) == "active-pleasant"


@pytest.mark.parametrize("point", [(1.1, 0), (0, -2), (math.nan, 0)])
def test_points_off_the_scale(point):
    with pytest.raises(ValueError, match="expected -1 to 1"):
        quadrants.quadrant(*point)


def test_emotions_lie_in_the_order_of_russells_circle():
    angles = [quadrants.ANGLES[name] for name in ("happy", "surprised", "angry", "fearful", "sad", "bored", "calm")]
    assert angles == sorted(angles)
    for name, angle in quadrants.ANGLES.items():
        arousal, valence = quadrants.point(name)
        assert math.hypot(arousal, valence) == pytest.approx(1)
        assert math.degrees(math.atan2(arousal, valence)) % 360 == pytest.approx(angle)
    expected = {"happy": "active-pleasant", "angry": "active-unpleasant", "fearful": "active-unpleasant"}
    expected |= {"sad": "passive-unpleasant", "bored": "passive-unpleasant", "calm": "passive-pleasant"}
    assert {name: quadrants.quadrant(*quadrants.point(name)) for name in expected} == expected
    assert quadrants.quadrant(*quadrants.point("neutral")) == "neutral"


def test_there_and_back():
    for name in (*quadrants.QUADRANTS.values(), quadrants.NEUTRAL):
        assert quadrants.quadrant(*quadrants.centre(name)) == name
    with pytest.raises(KeyError):
        quadrants.centre("sad")


def test_clips_are_labelled_by_ratings_first_and_else_by_their_emotion():
    clips = [clip("r", "angry", arousal=1, valence=5), clip("e", "sad"), clip("n", "neutral"), clip("d", "disgust")]
    found, notes = quadrants.labelled(clips, scale=(1, 5))
    assert [(one.name, one.label) for one in found] == [
        ("r", "passive-pleasant"),
        ("e", "passive-unpleasant"),
        ("n", "neutral"),
    ]
    assert notes == ["1 clips of disgust have no quadrant"]
    assert found[0].targets == {"arousal": -1, "valence": 1}
    np.testing.assert_allclose(found[1].targets["arousal"], math.sin(math.radians(207.5)))


def test_rating_outside_its_scale():
    with pytest.raises(
        UserError, match=r"r: its arousal or valence 7.0 is outside the scale from 1 to 5.*--rating-scale"
    ):
        quadrants.labelled([clip("r", arousal=7, valence=3)], scale=(1, 5))


def written(path, text):
    path.write_text(text)
    return path


def test_table_of_ratings_gets_quadrants(script, tmp_path):
    written(tmp_path / "a.csv", "file,arousal,valence\nx.wav,5,1\ny.wav,3,3.2\nz.wav,,2\nw.wav,nan,2\n")
    code, out, _ = script("quadrants.py", "a.csv", "--rating-scale", 1, 5, "--out", "b.csv")
    assert code == 0 and "4 rows, 2 without a quadrant" in out
    lines = (tmp_path / "b.csv").read_text().splitlines()
    assert lines[1:] == ["x.wav,5,1,active-unpleasant", "y.wav,3,3.2,neutral", "z.wav,,2,", "w.wav,nan,2,"]


def test_table_of_emotions_gets_points(script, tmp_path):
    written(tmp_path / "a.tsv", "file\tEmo\nx.wav\tSadness\ny.wav\tdisgust\nz.wav\tneutral\n")
    code, _, _ = script("quadrants.py", "a.tsv", "--emotion", "Emo", "--out", "b.csv")
    lines = (tmp_path / "b.csv").read_text().splitlines()
    assert code == 0 and lines == [
        "file,Emo,arousal,valence,quadrant",
        "x.wav,Sadness,-0.4617,-0.8870,passive-unpleasant",
        "y.wav,disgust,,,",
        "z.wav,neutral,0.0000,0.0000,neutral",
    ]


@pytest.mark.parametrize(
    ("text", "words", "said"),
    [
        ("file,mood\nx.wav,sad\n", "", "expected the columns arousal and valence, or emotion, found file, mood"),
        ("file,emotion\n", "", "expected rows below the header"),
        (
            "file,arousal,valence\nx.wav,7,1\n",
            "--rating-scale 1 5",
            "expected arousal and valence from 1 to 5, found '7' and '1'",
        ),
        ("file,arousal,valence\nx.wav,high,1\n", "", "found 'high' and '1'"),
        ("file,emotion\nx.wav,sad\n", "--rating-scale 5 1", "expected the lower number first"),
    ],
)
def test_tables_that_are_refused(script, tmp_path, text, words, said):
    written(tmp_path / "a.csv", text)
    code, _, err = script("quadrants.py", "a.csv", "--out", "b.csv", *words.split())
    assert code == 2 and said in err and not (tmp_path / "b.csv").exists()
