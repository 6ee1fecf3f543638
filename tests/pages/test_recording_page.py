"""The page of a recording: what it says, that it needs nothing from outside, and hostile names and sounds."""

import base64
import csv
import io
import re
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from pages import Page, check_alone

from zoo.data.audio.recording import BadClip
from zoo.errors import UserError
from zoo.pages import embedded_audio, recording

HOSTILE = "<script>alert(1)</script>\"'&.wav"
CLASSES = ["neutral", "happy", "</script><img src=x onerror=alert(2)>"]


@pytest.fixture
def clip(tmp_path, rng):
    """Writes a file of noise of so many seconds and channels; returns its path."""

    def write(seconds=12.0, channels=1, rate_hz=8_000, name="call.wav", loud=0.1):
        path = tmp_path / name
        soundfile.write(path, loud * rng.standard_normal((round(seconds * rate_hz), channels)), rate_hz, format="WAV")
        return path

    return write


def row(start, end, shares, channel="mix", **more):
    """A segment with probabilities `shares` of `CLASSES`, or without an emotion where they are None."""
    likeliest = None if shares is None else CLASSES[int(np.argmax(shares))]
    quality = {"level_dbfs": -20.5, "clipped_share": 0.0, "bandwidth_hz": 4000.0, "notes": []}
    return {
        "file": "call.wav",
        "channel": channel,
        "start": start,
        "end": end,
        "emotion": likeliest,
        "probabilities": dict(zip(CLASSES, shares or [None] * 3, strict=True)),
        "confidence": None if shares is None else 0.75,
        "abstained": None if shares is None else False,
        "reason": None if shares else "silent: no speech",
        "speech_seconds": (end - start) / 2 if shares else 0.0,
        "quality": quality,
        "trained_on": "emodb",
        **more,
    }


@pytest.fixture
def model(tmp_path):
    """Makes a model that answers with these rows, or ratings."""

    def make(rows=(), ratings=None, **about):
        folder = tmp_path / "my model" / "1"
        (folder / "assets").mkdir(parents=True, exist_ok=True)
        (folder / "assets" / "description.json").write_text("{}")
        (folder.parent / "model_card.md").write_text("# Card\n\n<script>alert(3)</script>\n")
        task = "continuous" if ratings else "emotion"
        known = {"task": task, "model": "fcn", "trained_on": "emodb", "rate_hz": 16_000, "frame_seconds": 0.5, **about}
        outputs = ["arousal", "valence"] if ratings else CLASSES
        asked = []

        def segments(path, rate_hz=None, channels="mix"):
            asked.append((path, channels))
            return list(rows)

        exported = SimpleNamespace(folder=folder, continuous=bool(ratings))
        return SimpleNamespace(
            exported=exported,
            description=known,
            outputs=outputs,
            segments=segments,
            predict=lambda _: ratings,
            asked=asked,
        )

    return make


ROWS = [
    row(0.0, 4.0, [0.7, 0.2, 0.1]),
    row(4.0, 6.0, None),
    row(8.0, 12.0, [0.1, 0.2, 0.7], abstained=True, confidence=0.25),
]


def test_page_needs_nothing_from_outside(model, clip):
    check_alone(Page(recording.page(model(ROWS), clip())))


def test_page_is_well_formed_and_says_what_it_must(model, clip):
    page = Page(recording.page(model(ROWS, warnings=["Short training."]), clip()))
    for words in ("call.wav", "0:12.0", "1 channel at 8000 Hz", "my model", "fcn", "emodb", "Short training.", "Card"):
        assert words in page.text
    assert len(page.of("h1")) == 1 and all(attrs.get("alt") for attrs in page.of("img"))
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    named = [attrs["aria-labelledby"] for _, attrs in page.elements if "aria-labelledby" in attrs]
    assert set(named) <= set(ids)
    assert 'lang="en"' in page.source and page.of("meta")[0] == {"charset": "utf-8"}


def test_names_of_files_classes_and_cards_are_escaped(model, clip):
    path = clip(name="a" + HOSTILE.replace("/", "\N{FRACTION SLASH}"))
    hostile = row(0.0, 12.0, [0.1, 0.1, 0.8], speaker="<b>who</b>", reason=None)
    hostile["quality"]["notes"] = ["</script><script>alert(4)</script>"]
    page = Page(recording.page(model([hostile], trained_on="<i>x</i>", paper="<svg onload=alert(5)>"), path))
    check_alone(page)
    assert not {"i", "b"} & {tag for tag, attrs in page.elements if "style" not in attrs}
    assert "alert(1)" in page.text and "alert(3)" in page.text and "<b>who</b>" in page.text


def test_a_name_that_turns_text_around_is_shown_escaped(model, clip):
    page = Page(recording.page(model(ROWS), clip(name="invoice\u202egpj.wav")))
    assert "invoice\\u202egpj.wav" in page.text and "\u202e" not in page.text


def test_table_has_every_segment_with_abstentions_and_reasons(model, clip):
    header, *rows = Page(recording.page(model(ROWS), clip())).rows("3 segments")
    assert header[:5] == ["Start", "End", "Channel", "Emotion", "Probability"]
    assert [line[:2] for line in rows] == [["0:00.0", "0:04.0"], ["0:04.0", "0:06.0"], ["0:08.0", "0:12.0"]]
    assert [line[3] for line in rows] == ["neutral", "none", f"{CLASSES[2]} (abstained)"]
    assert [line[4] for line in rows] == ["70.0 %", "–", "70.0 %"] and rows[1][-1] == "silent: no speech"


def test_shares_are_of_the_seconds_of_speech(model, clip):
    header, line = Page(recording.page(model(ROWS), clip())).rows("By channel")
    shares = dict(zip(header, line, strict=True))
    assert shares["Speech (s)"] == "4.0"  # 2 s of 4 s, and 2 s of 4 s; none of the segment without an emotion
    assert (shares["neutral"], shares["abstained"], shares[CLASSES[2]]) == ("50.0 %", "50.0 %", "0.0 %")


def test_a_segment_counts_in_each_minute_by_its_share(model, clip):
    rows = [row(50.0, 70.0, [1.0, 0.0, 0.0]), row(70.0, 90.0, [0.0, 1.0, 0.0])]
    header, first, second = Page(recording.page(model(rows), clip(95.0))).rows("By minute")
    assert first[:2] == ["1", "5.0"] and second[:2] == [
        "2",
        "15.0",
    ]  # half of the segment's 10 s of speech; 5 s and 10 s
    assert second[header.index("neutral")] == "33.3 %" and second[header.index("happy")] == "66.7 %"


def test_csv_is_the_rows_flat_and_safe(model, clip):
    page = Page(recording.page(model([{**ROWS[0], "file": "=1+1.wav"}, ROWS[1]]), clip()))
    (link,) = [attrs for attrs in page.of("a") if "download" in attrs]
    assert link["download"] == "call-emotion.csv"
    text = base64.b64decode(link["href"].removeprefix("data:text/csv;base64,")).decode()
    first, second = csv.DictReader(io.StringIO(text, newline=""))
    assert first["file"] == "'=1+1.wav" and first["p_happy"] == "0.2" and first["level_dbfs"] == "-20.5"
    assert second["emotion"] == "" and second["reason"] == "silent: no speech"


def test_chart_stacks_the_probabilities_and_has_gaps(model, clip):
    (chart,) = Page(recording.page(model(ROWS), clip())).data["charts"]
    assert chart["x"] == [0.0, 3.999, 4.0, 5.999, 6.0, 8.0, 11.999, 12.0]
    tops = {one["label"]: one["y"] for one in chart["series"]}
    assert tops["neutral"] == [0.7, 0.7, None, None, None, 0.1, 0.1, None]
    assert tops["happy"][0] == 0.9 and tops[CLASSES[2]][0] == 1.0
    assert [one["label"] for one in chart["series"]] == CLASSES[::-1]  # the highest sum is painted first


def test_peaks_are_those_of_the_file(model, clip):
    path = clip(channels=2)
    data = Page(recording.page(model(ROWS), path)).data
    samples, _ = soundfile.read(path)
    for channel, text in enumerate(data["peaks"]):
        found = np.frombuffer(base64.b64decode(text), np.uint8) / 255
        spans = np.array_split(np.abs(samples[:, channel]), len(found))
        np.testing.assert_allclose(found, [span.max() for span in spans], atol=1 / 255)


def test_every_channel_has_pictures_and_its_own_rows(model, clip):
    rows = [row(0.0, 4.0, [0.7, 0.2, 0.1], channel=0), row(0.0, 4.0, [0.1, 0.8, 0.1], channel=1)]
    one = model(rows)
    page = Page(recording.page(one, clip(channels=2), channels="split"))
    assert one.asked[0][1] == "split"
    assert [line[2] for line in page.rows("2 segments")[1:]] == ["Left", "Right"]
    assert [line[0] for line in page.rows("By channel")[1:]] == ["Left", "Right", "all"]
    assert len([attrs for attrs in page.of("img") if "Spectrogram" in attrs["alt"]]) == 2 == len(page.data["peaks"])


def test_mixed_channels_are_said(model, clip):
    assert "Its 3 channels were mixed" in Page(recording.page(model(ROWS), clip(channels=3))).text


def test_remarks_on_all_segments_stand_above_and_on_some_in_the_table(model, clip):
    rows = [row(0.0, 4.0, [0.7, 0.2, 0.1]), row(4.0, 8.0, [0.7, 0.2, 0.1])]
    for one, notes in zip(rows, (["Muffled."], ["Muffled.", "Very quiet."]), strict=True):
        one["quality"] = {**one["quality"], "notes": notes}
    page = Page(recording.page(model(rows), clip()))
    header = page.text.partition("Timeline")[0]
    assert "Muffled." in header and "Very quiet." not in header and "sound of 1 of the 2 segments" in header
    assert [line[-1] for line in page.rows("2 segments")[1:]] == ["Muffled.", "Muffled. Very quiet."]


def test_rows_by_speaker(model, clip):
    rows = [{**ROWS[0], "speaker": "A"}, {**ROWS[2], "speaker": "B"}]
    assert [line[0] for line in Page(recording.page(model(rows), clip())).rows("By speaker")[1:]] == ["A", "B", "all"]


def test_sound_is_the_recordings_as_mp3_or_left_out(model, clip, monkeypatch):
    path = clip()

    def sound(audio):
        return [attrs["src"] for attrs in Page(recording.page(model(ROWS), path, audio=audio)).of("audio")]

    (address,) = sound("auto")
    decoded, rate_hz = soundfile.read(io.BytesIO(base64.b64decode(address.removeprefix("data:audio/mpeg;base64,"))))
    assert rate_hz == 16_000 and len(decoded) == 12 * 16_000
    assert sound("none") == []
    monkeypatch.setattr(recording, "EMBEDDED_SECONDS", 10.0)
    assert sound("auto") == [] and len(sound("embed")) == 1
    assert "--audio embed" in Page(recording.page(model(ROWS), path)).text


def test_no_speech_at_all(model, clip):
    page = Page(recording.page(model([]), clip(loud=0.0)))
    check_alone(page)
    assert "No emotion was found in this recording" in page.text and page.data["charts"] == []


def test_a_second_alone(model, clip):
    page = Page(recording.page(model([row(0.0, 1.0, [0.7, 0.2, 0.1])]), clip(1.0)))
    assert "By minute" not in page.tables and page.data["seconds"] == 1.0


def test_size_of_a_page(model, clip):
    rows = [row(4.0 * n, 4.0 * n + 4, [0.7, 0.2, 0.1]) for n in range(75)]
    size = len(recording.page(model(rows), clip(300.0), audio="none"))
    assert size < 600_000


def test_ratings_have_lines_minutes_and_a_table(model, clip):
    time = np.arange(0, 90, 0.5)
    ratings = {"time": time.tolist(), "ratings": {"arousal": (time / 90).tolist(), "valence": (-time / 90).tolist()}}
    page = Page(recording.page(model(ratings={**ratings, "reason": None}), clip(90.0)))
    check_alone(page)
    first, second = page.rows("Mean of the ratings")[1:]
    assert first == ["1", "+0.33 [+0.00, +0.66]", "-0.33 [-0.66, -0.00]"] and second[0] == "2"
    assert page.rows("Mean of every 1 s")[2] == ["0:01.0", "+0.014", "-0.014"]  # of 1 s and 1.5 s
    (chart,) = page.data["charts"]
    assert [one["dash"] for one in chart["series"]] == [None, [8, 4]] and len(chart["x"]) == 180


def test_no_ratings_of_silence(model, clip):
    ratings = {"time": [], "ratings": {"arousal": [], "valence": []}, "reason": "silent: nothing"}
    page = Page(recording.page(model(ratings=ratings), clip(loud=0.0)))
    assert "No ratings: silent: nothing" in page.text


def test_stereo_stays_stereo_and_segments_are_cut(clip):
    path = clip(2.0, channels=2, rate_hz=44_100)
    decoded, _ = soundfile.read(io.BytesIO(embedded_audio.mp3(path, stereo=True)))
    assert decoded.shape == (32_000, 2)
    decoded, _ = soundfile.read(io.BytesIO(embedded_audio.mp3(path, segment=(0.5, 1.0))))
    assert abs(len(decoded) - 8_000) < 600  # whole frames


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["no-model", "call.wav"], "no-model"),
        (["conv_lstm-standin", "gone.wav"], "gone.wav: expected a readable file"),
        (["conv_lstm-standin", "note.wav"], "note.wav: expected"),
        (["conv_lstm-standin"], "expected one recording behind the model, found 0"),
        (["conv_lstm-standin", "a.wav", "b.wav"], "found 2"),
        (["conv_lstm-standin", "a.wav", "--errors", "3"], "--errors: for runs"),
        (["conv_lstm-standin", "a.wav", "--out", "page.pdf"], "--out page.pdf: expected a name ending in .html"),
    ],
)
def test_bad_input_ends_with_one_message(script, tmp_path, words, said):
    (tmp_path / "note.wav").write_text("no audio")
    code, _, errors = script("report.py", *words, *([] if "--out" in words else ["--out", "page.html"]))
    assert code == 2 and said in errors and errors.count("error:") == 1 and "Traceback" not in errors
    assert not (tmp_path / "page.html").exists()


def test_bad_audio_is_refused(model, tmp_path):
    (tmp_path / "note.wav").write_text("no audio")
    with pytest.raises(BadClip):
        recording.page(model(ROWS), tmp_path / "note.wav")


def test_a_shipped_model_of_ratings_by_the_command(script, clip):
    code, shown, _ = script("report.py", "conv_lstm-standin", clip(3.0), "--out", "page.html")
    assert code == 0 and re.match(r"report: page\.html \(0\.\d MB\)", shown)


def test_a_model_of_ratings_has_no_rows_by_channel(model, clip):
    one = model(ratings={"time": [], "ratings": {"arousal": [], "valence": []}, "reason": "silent"})
    with pytest.raises(UserError, match="--channels split: for models of classes"):
        recording.page(one, clip(channels=2), channels="split")
