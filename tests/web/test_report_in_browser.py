"""Reports in Chromium: no message on the console, nothing loaded, segments that play, zoom, keys; axe-core's checks."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from browser import PATIENCE_MS, chromium_or_skip

from zoo.pages import recording
from zoo.pages.page import write

AXE = Path(__file__).parent / "vendor" / "axe.min.js"
CLASSES = ["neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised"]
pytestmark = [pytest.mark.slow, pytest.mark.browser]


@pytest.fixture(scope="module")
def chromium():
    path = chromium_or_skip()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        arguments = ["--no-sandbox", "--mute-audio", "--autoplay-policy=no-user-gesture-required"]
        browser = driver.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


def row(start, end, channel, emotion, abstained=False):
    shares = dict.fromkeys(CLASSES, 0.05) | {emotion: 0.65}
    return {
        "file": "call.wav",
        "channel": channel,
        "start": start,
        "end": end,
        "emotion": emotion,
        "probabilities": shares,
        "confidence": 0.6,
        "abstained": abstained,
        "reason": None,
        "speech_seconds": end - start,
        "quality": {"level_dbfs": -20.0, "clipped_share": 0.0, "bandwidth_hz": 8000.0, "notes": []},
        "trained_on": "ravdess",
    }


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The page of a recording of 20 s with two channels and eight segments."""
    folder = tmp_path_factory.mktemp("report")
    sound = folder / "call.wav"
    samples = 0.1 * np.random.default_rng(0).standard_normal((20 * 8_000, 2))
    soundfile.write(sound, samples, 8_000)
    (folder / "m" / "1" / "assets").mkdir(parents=True)
    (folder / "m" / "1" / "assets" / "description.json").write_text("{}")
    rows = [row(5.0 * (n // 2), 5.0 * (n // 2) + 2, n % 2, name, n == 3) for n, name in enumerate(CLASSES)]
    model = SimpleNamespace(
        exported=SimpleNamespace(folder=folder / "m" / "1", continuous=False),
        description={"task": "emotion", "model": "fcn", "trained_on": "ravdess", "rate_hz": 16_000},
        outputs=CLASSES,
        segments=lambda path, channels: rows,
    )
    write(folder / "call.html", recording.page(model, sound, "split"))
    return (folder / "call.html").as_uri()


@pytest.fixture
def opened(chromium):
    """Opens a page; a message on the console, an error in a program or a request beyond the page fails the test."""
    contexts, complaints = [], []

    def tab(address, **options):
        context = chromium.new_context(**{"viewport": {"width": 1180, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text))
        outside = lambda request: not request.url.startswith(("data:", "blob:", address))  # noqa: E731
        page.on("request", lambda request: complaints.append(request.url) if outside(request) else None)
        page.goto(address)
        return page

    yield tab
    for context in contexts:
        context.close()
    assert complaints == []


def until(page, expression):
    """Waits until an expression is true; Playwright's own way needs eval, which the page's policy forbids."""
    for _ in range(PATIENCE_MS // 50):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"still false: {expression}")


def time_of(page):
    return page.evaluate("document.getElementById('audio').currentTime")


def test_a_segment_plays_to_its_end(opened, report):
    page = opened(report)
    until(page, "document.getElementById('audio').readyState >= 2")
    page.locator(".seg").nth(1).click()  # 5 to 7 s
    until(page, "!document.getElementById('audio').paused")
    assert page.locator(".seg.current").count() == 2  # of both channels
    until(page, "document.getElementById('audio').paused")
    assert time_of(page) == pytest.approx(7.0, abs=0.1)


def test_keys_move_between_segments_and_zoom(opened, report):
    page = opened(report)
    until(page, "document.getElementById('audio').readyState >= 2")
    page.locator(".seg").first.focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.dataset.n") == "2"  # the next of this channel's lane
    page.keyboard.press("Escape")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("n")
    until(page, "document.getElementById('audio').currentTime >= 5")
    page.keyboard.press("Space")
    page.keyboard.press("+")
    assert page.locator("img.stretch").first.evaluate("one => one.style.width") == "200%"
    page.keyboard.press("0")
    assert page.locator("img.stretch").first.evaluate("one => one.style.width") == "100%"


def test_a_click_moves_there(opened, report):
    page = opened(report)
    until(page, "document.getElementById('audio').readyState >= 2")
    box = page.locator("#wave").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 10)
    assert time_of(page) == pytest.approx(10.0, abs=0.1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessible_by_axe(opened, report, scheme):
    page = opened(report, color_scheme=scheme)
    until(page, "document.querySelectorAll('canvas').length >= 2")
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found["violations"]] == []


def test_nothing_is_wider_than_a_phone(opened, report):
    page = opened(report, viewport={"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_what_is_put_into_a_page_cannot_run_or_load(chromium, report, tmp_path):
    text = Path(report.removeprefix("file://")).read_text()
    more = "<script>document.title = 'ran'</script><img src='https://example.org/x.png' onerror='document.title = 1'>"
    write(tmp_path / "changed.html", text.replace("</main>", f"{more}</main>"))
    page, said, asked = chromium.new_page(), [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("response", lambda response: asked.append(response.url))
    page.goto((tmp_path / "changed.html").as_uri())
    assert page.title() == "call.wav: emotion"
    assert len([one for one in said if "Content Security Policy" in one]) >= 2
    assert not [address for address in asked if "example.org" in address]
    page.close()
