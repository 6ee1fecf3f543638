"""ser web in Chromium: add, see, label by keyboard, train and compare; accessibility by axe-core."""

import csv
import json
import re
from pathlib import Path

import pytest
from browser import PATIENCE_MS, PAUSE_SECONDS, SENTENCE_SECONDS, chromium_or_skip, interview, web

from zoo.learning.labelling import label_file

AXE = Path(__file__).parent / "vendor" / "axe.min.js"
EMOTIONS = ("calm", "angry", "calm", "angry")
PAGES = {"/": "#list tbody tr", "/queue": "#strategy option", "/training": "#methods input"}  # and what shows last
pytestmark = [pytest.mark.slow, pytest.mark.browser]


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sounds")
    return [interview(folder / f"Talk {n}.wav", EMOTIONS, n) for n in range(3)]


@pytest.fixture(scope="module")
def chromium(sounds):
    """Chromium, whose microphone plays the first recording."""
    path = chromium_or_skip()
    from playwright.sync_api import sync_playwright

    microphone = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    microphone += [f"--use-file-for-fake-audio-capture={sounds[0]}", "--autoplay-policy=no-user-gesture-required"]
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox", *microphone])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def served(chromium, tmp_path_factory):
    """A running ser web: its project folder and its address."""
    folder = tmp_path_factory.mktemp("web") / "project"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPEECH_ZOO_CACHE", str(folder.parent / "cache"))
        patch.setenv("OMP_NUM_THREADS", "1")
        with web(folder, "--rater", "anna") as address:
            yield folder, address


@pytest.fixture
def opened(chromium):
    """Opens tabs; a message on the console, as of a broken policy, or an error in a program fails the test."""
    contexts, complaints = [], []

    def tab(**options):
        context = chromium.new_context(**{"viewport": {"width": 1180, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if is_complaint(said) else None)
        return page

    yield tab
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture(scope="module")
def filled(served, sounds):
    """The same with three recordings whose speakers are named, as people who copy files into the folder have them."""
    folder, address = served
    for sound in sounds:
        (folder / "audio" / sound.name.replace(" ", "-")).write_bytes(sound.read_bytes())
    said = {f"Talk-{n}.wav": {"name": f"Talk {n}.wav", "speaker": f"Speaker {n}"} for n in range(3)}
    (folder / "recordings.json").write_text(json.dumps(said))
    return folder, address


def is_complaint(said):
    """Whether a message of the console is of a mistake; that a server refuses what tests want refused is none."""
    refused = re.search(r"status of 40[013] ", said.text) is not None
    return said.type in ("error", "warning") and not refused


def open_recording(page, address, name):
    page.goto(address)
    page.get_by_role("link", name=name).click()
    page.get_by_role("button", name="Play", exact=True).wait_for()
    page.locator("#segments tbody tr").first.wait_for()
    return page


def test_recordings_are_added_by_choosing_and_by_dropping_and_refused_in_words(served, opened, sounds):
    folder, address = served
    page = opened()
    page.goto(address)
    page.get_by_text("No recordings yet").wait_for()
    page.set_input_files("#files", [sounds[0]])
    page.get_by_role("link", name="Talk 0.wav").wait_for()
    page.get_by_label("Speaker of Talk 0.wav").fill("Eva")
    page.get_by_label("Speaker of Talk 0.wav").press("Tab")
    page.get_by_text("Saved: Eva speaks in Talk 0.wav.").wait_for()
    handed = page.evaluate_handle(
        """() => { const data = new DataTransfer();
        data.items.add(new File(["no sound"], "notes.wav")); return data; }"""
    )
    page.dispatch_event("#drop", "drop", {"dataTransfer": handed})
    page.get_by_text(re.compile("^notes.wav: expected WAV")).wait_for()
    page.reload()
    assert page.get_by_label("Speaker of Talk 0.wav").input_value() == "Eva"
    assert page.locator("#list tbody tr").count() == 1
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_label("Delete Talk 0.wav").click()
    page.get_by_text("No recordings yet").wait_for()
    assert list((folder / "audio").iterdir()) == []


def test_the_microphone_is_recorded_as_wav(served, opened):
    import numpy as np
    import soundfile

    folder, address = served
    page = opened()
    page.goto(address)
    page.get_by_role("button", name="record yourself").click()
    page.get_by_text(re.compile(r"^0:0[3-9]")).wait_for()
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("link", name=re.compile("^Recording 2")).wait_for()
    (path,) = (folder / "audio").glob("Recording-*.wav")
    samples, rate_hz = soundfile.read(path)
    assert samples.ndim == 1 and 2.5 < len(samples) / rate_hz < 10 and np.abs(samples).max() > 0.01
    path.unlink()


def test_labels_by_keyboard_training_and_comparison(filled, opened):
    folder, address = filled
    page = opened()
    open_recording(page, address, "Talk 0.wav")
    rows = page.locator("#segments tbody tr")
    assert rows.count() == 4
    page.locator("#now").get_by_text("Segment 1 of 4").wait_for()
    page.keyboard.press("2")  # calm; goes on to the next
    page.get_by_text("Saved: calm.").wait_for()
    page.locator("#now").get_by_text("Segment 2 of 4").wait_for()
    page.keyboard.press("3")  # happy, by mistake
    page.get_by_text("Saved: happy.").wait_for()
    page.keyboard.press("u")
    page.get_by_text("Saved: no label.").wait_for()
    page.locator("#now").get_by_text("Segment 2 of 4").wait_for()
    page.keyboard.press("5")
    page.keyboard.press("k")
    page.locator("#now").get_by_text("Segment 2 of 4").wait_for()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("2")
    page.keyboard.press("5")
    page.locator("#lane .labelled").nth(3).wait_for()
    page.get_by_text("Saved: angry.").wait_for()
    page.keyboard.press(" ")
    page.get_by_role("button", name="Pause").wait_for()
    page.keyboard.press(" ")
    page.get_by_role("button", name="Play", exact=True).wait_for()
    page.reload()
    page.locator("#lane .labelled").nth(3).wait_for()
    assert [rows.nth(n).locator("td").nth(2).inner_text() for n in range(4)] == list(EMOTIONS)
    said = label_file.current(label_file.read(folder / "labels.csv"))
    assert [(one.label, one.rater) for one in said] == [(emotion, "anna") for emotion in EMOTIONS]

    page.get_by_role("link", name="Label next").click()
    page.get_by_text("8 of 12 segments wait for a label.").wait_for()
    for number in range(8):
        title = page.locator("#card-title").inner_text()
        minute, second = re.search(r"(\d+):(\d+\.\d) to", title).groups()
        which = round((60 * int(minute) + float(second) - PAUSE_SECONDS) / (PAUSE_SECONDS + SENTENCE_SECONDS))
        page.keyboard.press("25"[which % 2])
        page.locator("#waiting tbody tr").nth(number).locator(".mine").get_by_text(EMOTIONS[which]).wait_for()
        page.get_by_text(f"Saved: {EMOTIONS[which]}.").wait_for()
    page.reload()
    page.get_by_text("Every segment with an emotion has a label.").wait_for()

    page.get_by_role("link", name="Train").click()
    methods = page.get_by_role("radio")
    (page.get_by_label(re.compile("Support vector")) if methods.count() > 2 else methods.nth(1)).check()
    page.get_by_label(re.compile("epochs")).fill("2")
    page.get_by_role("button", name="Start training").click()
    page.get_by_role("heading", name="Training 1: at work").wait_for()
    page.reload()
    page.get_by_role("heading", name="Training 1: finished").wait_for(timeout=4 * PATIENCE_MS)
    page.get_by_text(re.compile(r"Unweighted accuracy \d+ % before, \d+ % after")).wait_for()
    page.get_by_text("12 labelled segments of 3 speakers").wait_for()
    page.get_by_role("button", name="Use this model").click()
    page.get_by_text("In use").wait_for()
    with (folder / "training" / "1" / "run" / "predictions.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 12
    page.get_by_role("button", name=re.compile("Go back to")).click()
    page.get_by_role("button", name="Use this model").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_breaks_the_rules_of_accessibility(filled, opened, scheme):
    _, address = filled
    page = opened(color_scheme=scheme, bypass_csp=True)
    open_recording(page, address, "Talk 1.wav")
    check(page, "recording")
    page.locator("body").press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    for path, last in PAGES.items():
        page.goto(address.rstrip("/") + path)
        page.locator(last).first.wait_for(state="attached")
        check(page, path)


def check(page, name):
    page.add_script_tag(path=AXE)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    problems = [
        (one["id"], node["html"], node.get("failureSummary")) for one in found["violations"] for node in one["nodes"]
    ]
    assert problems == [], (name, problems)
    assert found["passes"]


def test_the_token_is_asked_for_and_leaves_the_address(chromium, opened, tmp_path):
    with web(tmp_path / "project", "--token", "a-token-of-24-characters") as address:
        opening = opened()
        opening.goto(address)
        opening.get_by_role("heading", name="Recordings").wait_for()
        opening.get_by_text("No recordings yet").wait_for()
        assert "token" not in opening.url
        page = chromium.new_context().new_page()
        page.goto(address.partition("#")[0])
        page.get_by_role("textbox", name="Token").fill("wrong")
        page.get_by_role("button", name="Open").click()
        page.get_by_text("That was not the token.").wait_for()
        page.get_by_role("textbox", name="Token").fill("a-token-of-24-characters")
        page.get_by_role("button", name="Open").click()
        page.get_by_text("No recordings yet").wait_for()
        page.context.close()
