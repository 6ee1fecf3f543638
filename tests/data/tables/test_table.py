"""Tables of a user's own recordings: every form is read alike, and what is wrong is named with its line."""

import json
import tracemalloc

import numpy as np
import pytest

from zoo.data.tables import table
from zoo.data.tables.table import Reading
from zoo.errors import UserError

ROWS = [("a.wav", "anna", "angry"), ("b.wav", "ben", "sad"), ("c.wav", "anna", "sad")]
TEXT = "file,speaker,emotion\na.wav,anna,angry\nb.wav,ben,sad\nc.wav,anna,sad\n"


@pytest.fixture
def folder(tmp_path):
    for name, *_ in ROWS:
        (tmp_path / name).touch()
    return tmp_path


def write(folder, text, name="labels.csv", encoding="utf-8"):
    (folder / name).write_text(text, encoding=encoding, newline="")
    return folder / name


def load(folder, text, **reading):
    return table.load(write(folder, text), Reading(**reading))


def said(clips):
    return [(clip.name, clip.speaker, clip.label) for clip in clips]


def refused(folder, text, **reading):
    with pytest.raises(UserError) as error:
        load(folder, text, **reading)
    assert "labels.csv" in str(error.value) or "map.csv" in str(error.value) or "--" in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("line", ["\n", "\r\n"])
def test_every_delimiter_and_encoding_is_read_alike(folder, encoding, delimiter, line):
    text = TEXT.replace("anna", "änna ").replace(",", delimiter).replace("\n", line)
    clips = table.load(write(folder, text, encoding=encoding)).clips
    assert said(clips) == [(name, speaker.replace("anna", "änna"), label) for name, speaker, label in ROWS]
    assert [clip.path for clip in clips] == [folder / name for name, *_ in ROWS]


def test_quoted_commas_blank_lines_and_columns_in_another_case(folder):
    text = '"File","text, as said",Speaker,Emotion\n\na.wav,"no, never",anna,angry\n,,,\nb.wav,"a ""b""",ben,sad\n'
    assert said(load(folder, text).clips) == ROWS[:2]


def test_json_lines_parquet_and_csv_are_the_same_table(folder):
    rows = [dict(zip(("file", "speaker", "emotion"), row, strict=True)) for row in ROWS]
    text = "\n".join(json.dumps({**row, "age": 30.5, "votes": None}) for row in rows)
    assert said(table.load(write(folder, text, "labels.jsonl")).clips) == ROWS
    counts = '{"file": "a.wav", "emotion": {"sad": 2, "angry": 1}}\n'
    assert table.load(write(folder, counts, "votes.jsonl")).clips[0].votes == {"emotion": {"sad": 2, "angry": 1}}
    pandas = pytest.importorskip("pandas", reason="Parquet needs pandas or pyarrow")
    pytest.importorskip("pyarrow")
    pandas.DataFrame(rows).to_parquet(folder / "labels.parquet")
    assert said(table.load(folder / "labels.parquet").clips) == ROWS


def test_a_table_without_labels_is_a_pool(folder):
    loaded = load(folder, "file\na.wav\nb.wav\n")
    assert said(loaded.clips) == [("a.wav", "a.wav", ""), ("b.wav", "b.wav", "")]
    assert loaded.notices == ["the table names no speaker: no division of it is speaker-independent"]


def test_columns_and_labels_by_other_names(folder):
    text = "id;Sprecher;Gefühl\na;anna;Wut\nb;ben;Trauer\nc;anna;unklar\n"
    columns = (("emotion", "Gefühl"), ("file", "id"), ("speaker", "Sprecher"))
    write(folder, "label,class,source\nWut,angry,x\nTrauer,sad,x\nunklar,,x\nFreude,happy,x\n", "map.csv")
    loaded = load(folder, text, columns=columns, label_map=folder / "map.csv")
    assert said(loaded.clips) == [("a", "anna", "angry"), ("b", "ben", "sad"), ("c", "anna", "")]
    assert loaded.notices[0] == "map.csv maps labels that labels.csv does not have: Freude"
    assert loaded.notices[-1] == "1 of 3 clips have no label, and are left out of training and test"
    write(folder, "label,class\nWut,angry\nunklar,\n", "map.csv")
    assert "found none for Trauer" in refused(folder, text, columns=columns, label_map=folder / "map.csv")
    write(folder, "label,class\nWut,angry\nWut,sad\n", "map.csv")
    assert "map.csv, line 3: expected one class for 'Wut'" in refused(
        folder, text, columns=columns, label_map=folder / "map.csv"
    )
    write(folder, "from,to\nWut,angry\n", "map.csv")
    assert "expected the columns label and class" in refused(folder, TEXT, label_map=folder / "map.csv")
    assert "Did you mean 'Sprecher'?" in refused(folder, text, columns=(("speaker", "Sprecherin"),))


def test_several_targets_are_numbers_or_classes_and_absent_ones_are_left_out(folder):
    text = (
        'file,emotion,age,sex,text,arousal\na.wav,angry,30,f,one,"0,5"\nb.wav,sad,nan,m,two,1\nc.wav,NaN,41,,three,\n'
    )
    clips = load(folder, text).clips
    assert [dict(clip.targets) for clip in clips] == [
        {"emotion": "angry", "age": 30.0, "sex": "f", "text": "one", "arousal": 0.5},
        {"emotion": "sad", "sex": "m", "text": "two", "arousal": 1.0},
        {"age": 41.0, "text": "three"},
    ]
    assert [clip.label for clip in load(folder, text, target="sex").clips] == ["f", "m", ""]


def test_segments_have_names_and_times_of_their_own(folder):
    text = 'file,start,end,emotion\na.wav,0.5,1.25,angry\na.wav,0:01:00,,sad\na.wav,2,"3,5",sad\nb.wav,,,sad\n'
    clips = load(folder, text).clips
    assert [(clip.name, *clip.segment) for clip in clips] == [
        ("a.wav#0.500-1.250", 0.5, 1.25),
        ("a.wav#2.000-3.500", 2.0, 3.5),
        ("a.wav#60.000-", 60.0, None),
        ("b.wav", 0.0, None),
    ]
    assert [clip.speaker for clip in clips] == ["a.wav"] * 3 + ["b.wav"], "a recording stands for its unknown speaker"


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ("a.wav,2,1,sad", "line 2: expected an end after the start at 2 s, found 1 s"),
        ("a.wav,2,2,sad", "line 2: expected an end after the start at 2 s, found 2 s"),
        ("a.wav,-1,2,sad", "line 2: expected seconds from 0, or hours:minutes:seconds, as start, found '-1'"),
        (
            "a.wav,0,1,sad\nb.wav,0,inf,sad",
            "line 3: expected seconds from 0, or hours:minutes:seconds, as end, found 'inf'",
        ),
        ("a.wav,soon,2,sad", "found 'soon'"),
        ("a.wav,0,1", "line 2: expected 4 fields, found 3"),
        ("a.wav,0,1,no, never", "line 2: expected 4 fields, found 5. Put fields that hold the delimiter into"),
        (",0,1,sad", "line 2: expected the name of a file, found none"),
        ("/,0,1,sad", "'/': expected the name of an audio file, found a folder"),
        ("a.wav,0,1,sad\na.wav,0,1.0,angry", "line 3: expected rows of a.wav that say the same, found emotion 'sad'"),
        ('a.wav,0,1,"sad, tired"', "expected classes' names without commas, found sad, tired"),
        ('a.wav,0,1,"sad\nb.wav,0,1,sad', "line 3: expected fields separated by ',', found unexpected end of data"),
        ("../a.wav,0,1,sad", "found '..' that leaves it"),
        ("x/../../a.wav,0,1,sad", "found '..' that leaves it"),
    ],
)
def test_bad_rows_are_named_by_line(folder, rows, found):
    with pytest.raises(UserError) as error:
        load(folder, f"file,start,end,emotion\n{rows}\n")
    assert found in str(error.value)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "found an empty file"),
        (b"\xef\xbb\xbf\n \n", "found an empty file"),
        (b"file,emotion\n", "expected rows below the header, found none"),
        (b"file,emotion,emotion\na.wav,x,y\n", "found emotion twice"),
        (b"name,emotion\na.wav,x\n", "expected a column 'file', found name, emotion. Name it by --column file=THEIRS"),
        ("file,emotion\na.wav,fröhlich\n".encode("latin-1"), "expected text in UTF-8 or UTF-16"),
        (b"file,emotion\na.wav,\0sad\n", "labels.csv, line 2"),
        (b"PK\x03\x04\x14\0\x06\0" * 30, "labels.csv"),
    ],
)
def test_files_that_are_no_table(folder, content, found):
    (folder / "labels.csv").write_bytes(content)
    with pytest.raises(UserError, match=r"labels\.csv") as error:
        table.load(folder / "labels.csv")
    assert found in str(error.value)


def test_files_that_are_absent_or_of_another_kind(folder):
    with pytest.raises(UserError, match="found nothing there"):
        table.load(folder / "no.csv")
    with pytest.raises(UserError, match="found a spreadsheet's own format"):
        table.load(write(folder, "x", "labels.xlsx"))
    for line in ("[1]", "{", '"a"', "{'file': 1}"):
        with pytest.raises(UserError, match=r"labels.jsonl, line 2: expected an object in JSON, one a line"):
            table.load(write(folder, f'{{"file": "a.wav"}}\n{line}\n', "labels.jsonl"))


def test_identical_rows_are_used_once_and_absent_files_are_listed(folder):
    loaded = load(folder, TEXT + "c.wav,anna,sad\n./c.wav,anna,sad\nd.wav,anna,sad\ne/f.flac,anna,sad\n")
    assert said(loaded.clips) == ROWS and loaded.missing == ["d.wav", "e/f.flac"]
    assert loaded.notices[0] == "2 rows are there twice; one of each is used"


def test_files_are_found_whatever_their_extension_and_folder(tmp_path):
    for name in (
        "samples/x.flac",
        "samples/y.wav",
        "one/z.wav",
        "two/z.wav",
        "two/w.flac",
        "one/w.mp3",
        "v.wav",
        "v.flac",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    def found(name):
        (clip,) = load(tmp_path, f"file\n{name}\n").clips
        return clip.path.relative_to(tmp_path).as_posix()

    wanted = {
        "x.wav": "samples/x.flac",
        "x": "samples/x.flac",
        "old/samples/y": "samples/y.wav",
        "a/two/z.flac": "two/z.wav",
    }
    wanted |= {"one\\z.wav": "one/z.wav", "w.flac": "two/w.flac", "v.wav": "v.wav", "samples/../v.flac": "v.flac"}
    assert {name: found(name) for name in wanted} == wanted
    assert "'z.wav': expected one file of that name below" in refused_file(tmp_path, "z.wav")
    assert "found 2: v.flac, v.wav. Write its folder and extension" in refused_file(tmp_path, "v.mp3")
    clip = load(tmp_path, f"file\n{tmp_path / 'samples' / 'x.wav'}\n").clips[0]
    assert clip.path == tmp_path / "samples" / "x.flac", "absolute paths are allowed"
    inside = load(tmp_path, "file\nx.wav\n", audio_root=tmp_path / "samples").clips[0]
    assert inside.path == tmp_path / "samples" / "x.flac"
    assert load(tmp_path, "file\nz.wav\n", audio_root=tmp_path / "samples").missing == ["z.wav"]


def refused_file(folder, name):
    with pytest.raises(UserError) as error:
        load(folder, f"file\n{name}\n")
    return str(error.value)


def test_votes_counted_in_columns(folder):
    header = "file,emotion.angry,emotion.sad,emotion.confidence\n"
    loaded = load(folder, header + "a.wav,3,1,0.75\nb.wav,2,2.0,0.5\nc.wav,0,,0\n")
    assert [clip.label for clip in loaded.clips] == ["angry", "", ""]
    assert [dict(clip.votes.get("emotion", {})) for clip in loaded.clips] == [
        {"angry": 3, "sad": 1},
        {"angry": 2, "sad": 2},
        {},
    ]
    assert loaded.notices[:2] == [
        "1 clips have a tie of votes and therefore no label: b.wav",
        "1 clips have no vote and therefore no label: c.wav",
    ]
    assert [clip.targets.get("emotion") for clip in loaded.clips] == ["angry", None, None]
    for cell in ("-1", "many", "inf"):
        assert "line 2: expected a number of raters in emotion.sad" in refused(folder, f"{header}a.wav,3,{cell},1\n")
    own = load(folder, "file,emotion,emotion.angry,emotion.sad\na.wav,sad,3,1\n").clips[0]
    assert own.label == "sad" and own.votes == {"emotion": {"angry": 3, "sad": 1}}, "the table's own label goes first"
    write(folder, "label,class\nangry,bad\nsad,bad\n", "map.csv")
    (both,) = load(folder, header + "a.wav,3,1,1\n", label_map=folder / "map.csv").clips
    assert both.votes == {"emotion": {"bad": 4.0}} and both.label == "bad"


def test_votes_by_a_row_a_rater(folder):
    header = "file,rater,emotion,arousal,speaker\n"
    rows = "a.wav,1,angry,0.5,x\na.wav,2,angry,1,x\na.wav,3,sad,,x\nb.wav,1,sad,0,y\nb.wav,2,angry,0,y\n"
    rows += "c.wav,1,,1,y\nb.wav,1,sad,0,y\n"
    loaded = load(folder, header + rows)
    assert [(clip.label, dict(clip.targets)) for clip in loaded.clips] == [
        ("angry", {"emotion": "angry", "arousal": 0.75}),
        ("", {"arousal": 0.0}),
        ("", {"arousal": 1.0}),
    ]
    assert loaded.clips[0].votes == {"emotion": {"angry": 2, "sad": 1}}
    assert "expected one label by rater '1' for a.wav" in refused(folder, header + rows + "a.wav,1,sad,0,x\n")
    assert "speaker 'x' and 'y'" in refused(folder, header + rows + "a.wav,4,sad,0,y\n")


def test_a_label_file_says_what_people_said_last_and_else_what_models_said(folder):
    header = "file,start,end,channel,label,rater,source,confidence,time\n"
    time = "2026-11-30T19:25:37Z"
    lines = [
        f"a.wav,,,,angry,anna,human,,{time}",
        f"a.wav,,,,sad,anna,human,,{time}",
        f"a.wav,,,,happy,net,model,0.9,{time}",
        f"b.wav,0,1.5,,happy,net,model,0.8,{time}",
        f"c.wav,,,,sad,anna,human,,{time}",
        f"c.wav,,,,,anna,human,,{time}",
    ]
    clips = load(folder, header + "\n".join(lines) + "\n").clips
    assert [(clip.name, clip.label, dict(clip.tags).get("source")) for clip in clips] == [
        ("a.wav", "sad", None),
        ("b.wav#0.000-1.500", "happy", "model"),
        ("c.wav", "", None),
    ]
    assert clips[0].votes == {"emotion": {"sad": 1}}
    assert "line 2: expected a label of all channels together" in refused(
        folder, f"{header}a.wav,,,1,sad,anna,human,,{time}\n"
    )
    assert "line 2: source: expected human or model" in refused(folder, f"{header}a.wav,,,,sad,anna,robot,,{time}\n")


def test_names_that_may_be_one_and_rare_labels_are_noticed(folder):
    loaded = load(folder, "file,speaker,emotion\na.wav,Anna,sad\nb.wav,an na,Sad\nc.wav,anna,angry\n")
    assert loaded.notices == [
        "speakers that differ in case or spaces only, and may be the same: 'Anna' = 'an na' = 'anna'",
        "labels that differ in case or spaces only, and may be the same: 'Sad' = 'sad'",
        "labels with a single clip, which cannot be both trained on and tested: Sad, angry, sad",
    ]
    loaded = load(folder, "file,speaker,emotion\na.wav,anna,sad\nb.wav,anna,sad\nc.wav,,sad\n")
    assert loaded.notices == [
        "1 clips have no speaker, and each of their files counts as one: c.wav",
        "all clips are of one speaker, anna",
    ]


def test_overlapping_segments_are_noticed(folder):
    rows = "a.wav,0,2,x\na.wav,2,3,y\na.wav,2.5,4,x\nb.wav,0,1,x\nb.wav,,,y\nc.wav,1,2,x\nc.wav,2,3,y"
    loaded = load(folder, f"file,start,end,speaker\n{rows}\n")
    assert loaded.notices == [
        "2 groups of overlapping segments, which stay on one side: a.wav#2.000-3.000 and a.wav#2.500-4.000, "
        "b.wav and b.wav#0.000-1.000"
    ]


def test_a_folder_for_each_class(tmp_path):
    for name in ("angry/x.wav", "sad/deep/y.flac", "sad/notes.txt", ".hidden/z.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    loaded = table.load(tmp_path)
    assert said(loaded.clips) == [
        ("angry/x.wav", "angry/x.wav", "angry"),
        ("sad/deep/y.flac", "sad/deep/y.flac", "sad"),
    ]
    assert said(table.load(tmp_path / "sad" / "deep").clips) == [("y.flac", "y.flac", "")], "without folders, a pool"
    (tmp_path / "labels.csv").touch()
    with pytest.raises(UserError, match=r"found tables too: labels\.csv\. Give the table itself"):
        table.load(tmp_path)


def test_names_that_carry_the_labels(tmp_path):
    for name in ("05Angry/a5-03-01-02-50.flac", "04Sad/S4-01-01-01-07.flac", "04Sad/other.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    loaded = table.load(tmp_path, Reading(from_names=r"\d\d(?P<emotion>\w+)/.*-(?P<speaker>\d\d)"))
    assert [(clip.speaker, clip.label) for clip in loaded.clips] == [("07", "Sad"), ("50", "Angry")]
    assert loaded.ignored == {"name does not match --from-names": 1}
    rows = "file,emotion\n05Angry/a5-03-01-02-50.wav,angry\n04Sad/S4-01-01-01-07.wav,sad\n"
    both = load(tmp_path, rows, from_names=r".*-(?P<speaker>\d\d)").clips
    assert [(clip.speaker, clip.label) for clip in both] == [("07", "sad"), ("50", "angry")]
    other = load(
        tmp_path, rows.replace("file", "id"), columns=(("file", "id"),), from_names=r".*-(?P<speaker>\d\d)"
    ).clips
    assert said(other) == said(both)
    for regex, found in (
        ("(", "expected a regular expression"),
        ("x", "expected named groups, found none"),
        ("(?P<a>x)", "found"),
    ):
        with pytest.raises(UserError, match="--from-names") as error:
            table.load(tmp_path, Reading(from_names=regex))
        assert found in str(error.value)
    assert "line 3: expected a name that matches" in refused(
        tmp_path, rows + "x.wav,sad\n", from_names=r"[aS].*-(?P<speaker>50)"
    )


def test_ratings_by_rows_of_time(tmp_path, rng):
    soundfile = pytest.importorskip("soundfile")
    values = rng.uniform(-1, 1, (25, 2)).round(3)
    lines = []
    for name in ("a", "b"):
        soundfile.write(tmp_path / f"{name}.wav", np.zeros(16_000, np.float32), 16_000)
        lines += [f"{name}.wav,{0.04 * step:.2f},{x},{y},anna" for step, (x, y) in enumerate(values)]
    order = rng.permutation(len(lines))
    header = "file,time,arousal,valence,speaker\n"
    clips = load(tmp_path, header + "\n".join(lines[number] for number in order)).clips
    assert [clip.name for clip in clips] == ["a.wav", "b.wav"] and table.dimensions(clips) == ("arousal", "valence")
    np.testing.assert_array_equal(clips[0].trace.values, values.astype(np.float32))
    assert clips[1].trace.step_seconds == 0.04 and clips[1].trace.start_seconds == 0.0
    (one,) = {clip.trace.dimensions for clip in load(tmp_path, header + "\n".join(lines), target="valence").clips}
    assert one == ("valence",)
    assert "line 6: expected a row every 0.04 s, found one at 0.2 s" in refused(
        tmp_path, header + "\n".join(lines[:4] + lines[5:])
    )
    assert "expected a finite number as arousal, found ''" in refused(
        tmp_path, header + "\n".join(lines).replace(f"a.wav,0.04,{values[1, 0]}", "a.wav,0.04,"), target="arousal"
    )
    late = [line for number, line in enumerate(lines) for line in [line.replace("a.wav,0", "a.wav,7")] if number < 25]
    assert "found labels that end 6.96 s too late" in refused(tmp_path, header + "\n".join(late))


def test_ratings_in_a_file_for_each_recording(tmp_path, rng):
    soundfile = pytest.importorskip("soundfile")
    soundfile.write(tmp_path / "a.wav", np.zeros(16_000, np.float32), 16_000)
    values = rng.uniform(-1, 1, (10, 2)).round(3)
    rows = [f"{0.1 * step:.1f};{x};{y}" for step, (x, y) in enumerate(values)]
    write(tmp_path, "\n".join(["time;arousal;valence", *rows]), "a_ratings.csv")
    (clip,) = load(tmp_path, "file,trace\na.wav,a_ratings.csv\n", target="arousal,valence").clips
    np.testing.assert_array_equal(clip.trace.values, values.astype(np.float32))
    write(
        tmp_path,
        "\n".join(["time,value", *(row.rpartition(";")[0].replace(";", ",") for row in rows)]),
        "a_arousal.csv",
    )
    (clip,) = load(tmp_path, "file,arousal\na.wav,a_arousal.csv\n", target="arousal").clips
    np.testing.assert_array_equal(clip.trace.values, values[:, :1].astype(np.float32))
    assert "expected a file of ratings" in refused(tmp_path, "file,trace\na.wav,none.csv\n", target="arousal")
    assert "expected a column 'power'" in refused_trace(tmp_path, "power")


def refused_trace(folder, target):
    with pytest.raises(UserError) as error:
        load(folder, "file,trace\na.wav,a_ratings.csv\n", target=target)
    return str(error.value)


def test_many_rows_take_little_memory(tmp_path):
    """A million rows are measured by bench/tables.py; here ten thousand, in proportion."""
    (tmp_path / "a.wav").touch()
    rows = "\n".join(f"a.wav,{n},{n + 1},spk{n % 50},{'sad' if n % 3 else 'angry'}" for n in range(10_000))
    write(tmp_path, "file,start,end,speaker,emotion\n" + rows)
    tracemalloc.start()
    clips = table.load(tmp_path / "labels.csv").clips
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(clips) == 10_000 and peak < 10.7e6, "1 GiB for a million"
