"""What an installation has and says of itself. `make wheel-test` builds a wheel and tries it."""

import configparser
import hashlib
import re
from importlib import import_module
from pathlib import Path

import soundfile
import yaml

import zoo

ROOT = Path(__file__).parents[1]


def setup_cfg():
    found = configparser.ConfigParser()
    found.read(ROOT / "setup.cfg")
    return found


def test_the_console_command_is_there():
    module, _, function = (
        setup_cfg()["options.entry_points"]["console_scripts"].strip().split("ser = ")[1].partition(":")
    )
    assert callable(getattr(import_module(module), function))


def test_the_wheel_is_tried_by_ci():
    assert "make wheel-test" in (ROOT / ".ci" / "run").read_text()
    assert re.search(r"^wheel-test: .*\n\t.*check_wheel\.py$", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_every_model_has_a_line_on_its_data_in_the_notice():
    notice = (ROOT / "NOTICE").read_text()
    for path in (ROOT / "saved_models").iterdir():
        assert path.name in notice, "say which data it was trained on, and their licence"


def test_files_about_the_project_agree_with_the_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(citation)  # required by the format
    assert (citation["version"], citation["license"]) == (zoo.__version__, "Apache-2.0")
    assert f"## {zoo.__version__}\n" in (ROOT / "CHANGELOG.md").read_text()
    assert "Apache License" in (ROOT / "LICENSE").read_text()


def test_the_example_is_short_speech_and_its_source_is_written_down():
    clip = zoo.example_clip()
    about = soundfile.info(clip)
    assert (about.samplerate, about.channels, about.subtype) == (16_000, 1, "PCM_16") and 5 < about.duration < 6
    sources = (clip.parent / "SOURCES.txt").read_text()
    assert hashlib.sha256(clip.read_bytes()).hexdigest() in sources and "public domain" in sources
