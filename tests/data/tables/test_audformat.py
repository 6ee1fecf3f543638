"""Databases in audformat, which the package itself writes."""

import pytest

from zoo.data.tables import table
from zoo.data.tables.table import Reading
from zoo.errors import UserError

audformat = pytest.importorskip("audformat", reason="audformat is not installed (pip install -e '.[audformat]')")
FILES = ["wav/a.wav", "wav/b.wav", "wav/c.wav"]


@pytest.fixture(params=["csv", "parquet"])
def database(request, tmp_path):
    """Emotion of whole files and of segments, parts of a split, speakers in a table of their own."""
    (tmp_path / "wav").mkdir()
    for name in FILES:
        (tmp_path / name).with_suffix(".flac").touch()
    db = audformat.Database("mine")
    db.schemes["emotion"] = audformat.Scheme(labels=["angry", "sad"])
    db.schemes["speaker"] = audformat.Scheme(labels=[3, 8])
    db.schemes["arousal"] = audformat.Scheme(dtype="float")
    whole = audformat.filewise_index(FILES)
    add(db, "files", whole, speaker=[3, 8, None])
    add(db, "emotion", whole, emotion=["angry", "sad", None], arousal=[0.5, None, 1.0])
    segments = audformat.segmented_index(["wav/a.wav", "wav/b.wav"], ["0.5s", 0], ["1.25s", None])
    add(db, "turns", segments, emotion=["sad", "angry"])
    add(db, "more", whole, arousal=[0.1, 0.2, 0.3])
    for part, files in (("train", FILES[:2]), ("test", FILES[2:])):
        db.splits[part] = audformat.Split(part)
        add(db, f"mood.{part}", audformat.filewise_index(files), part, mood=["good"] * len(files))
    db.save(str(tmp_path), storage_format=request.param)
    return tmp_path


def add(db, name, index, split=None, **columns):
    db[name] = audformat.Table(index, split_id=split)
    for column, values in columns.items():
        db[name][column] = audformat.Column(scheme_id=column if column in db.schemes else None)
        db[name][column].set(values)


def said(clips):
    return [(clip.name, clip.speaker, clip.label) for clip in clips]


def test_the_table_called_as_the_target_with_speakers_of_another(database):
    loaded = table.load(database)
    assert said(loaded.clips) == [
        ("wav/a.wav", "3", "angry"),
        ("wav/b.wav", "8", "sad"),
        ("wav/c.wav", "wav/c.wav", ""),
    ]
    assert [clip.targets.get("arousal") for clip in loaded.clips] == [0.5, None, 1.0]
    assert loaded.clips[0].path == database / "wav" / "a.flac"


def test_a_table_of_segments_by_its_name(database):
    clips = table.load(database / "db.turns").clips
    assert said(clips) == [("wav/a.wav#0.500-1.250", "3", "sad"), ("wav/b.wav", "8", "angry")]
    assert clips[0].segment == (0.5, 1.25)
    with pytest.raises(UserError, match=r"unknown table of .* 'turn'\. Did you mean 'turns'"):
        table.load(database / "db.turn")


def test_tables_that_are_parts_of_a_split(database):
    clips = table.load(database, Reading(target="mood")).clips
    assert [(clip.label, clip.tags["split"]) for clip in clips] == [
        ("good", "train"),
        ("good", "train"),
        ("good", "test"),
    ]


def test_several_tables_with_the_target_are_refused(database):
    with pytest.raises(UserError, match="expected one table with 'arousal', found emotion, more"):
        table.load(database, Reading(target="arousal"))
    assert table.load(database / "db.more", Reading(target="arousal")).clips[0].targets == {"arousal": 0.1}


def test_a_damaged_header_is_named(database):
    (database / "db.yaml").write_text("name: [")
    with pytest.raises(UserError, match="expected an audformat database, found one that cannot be loaded"):
        table.load(database)


def test_pickled_tables_are_not_opened(database):
    (database / "db.turns.pkl").write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    with pytest.raises(UserError, match=r"found pickled ones, which can run any program: db\.turns\.pkl"):
        table.load(database)
