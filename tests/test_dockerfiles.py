"""The Dockerfiles, read instruction by instruction: no daemon is at hand."""

import fnmatch
import json
import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = ("Dockerfile", "Dockerfile.serving")
INSTRUCTIONS = {"ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "RUN", "USER", "WORKDIR"}


def instructions(name):
    """Return the instructions of a Dockerfile, (name, rest), comments left out and continued lines joined."""
    lines = [line for line in (ROOT / name).read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines)).splitlines()
    return [tuple(line.split(maxsplit=1)) for line in joined if line.strip()]


def is_in_context(path):
    """Say whether .dockerignore leaves a path in: its last pattern that fits decides."""
    kept = True
    for line in (ROOT / ".dockerignore").read_text().split():
        pattern = line.removeprefix("!")
        if fnmatch.fnmatch(path, pattern) or path.startswith(f"{pattern}/"):
            kept = line.startswith("!")
    return kept


@pytest.mark.parametrize("name", FILES)
def test_instructions_are_known_and_in_order(name):
    found = instructions(name)
    assert all(len(one) == 2 and one[0] in INSTRUCTIONS for one in found), found
    kinds = [kind for kind, _ in found]
    assert kinds[0] == "FROM" or kinds[:2] == ["ARG", "FROM"]
    for kind, rest in found:
        if kind in ("RUN", "ENV"):
            assert shlex.split(rest)  # quotes close
        if kind in ("CMD", "ENTRYPOINT"):
            words = json.loads(rest)  # a list: signals reach the program
            assert all(isinstance(word, str) for word in words) and shlex.split(words[-1])


@pytest.mark.parametrize("name", FILES)
def test_what_is_copied_is_there_and_sent_to_the_builder(name):
    values = dict(rest.split("=", 1) for kind, rest in instructions(name) if kind == "ARG")
    stages = [rest.split(" AS ")[1] for kind, rest in instructions(name) if kind == "FROM" and " AS " in rest]
    for kind, rest in instructions(name):
        if kind != "COPY":
            continue
        words = [re.sub(r"\$\{(\w+)\}", lambda found: values[found[1]], word) for word in rest.split()]
        if words[0].startswith("--from="):
            assert words[0].removeprefix("--from=") in stages
            continue
        for source in words[:-1]:
            assert (ROOT / source).exists() and (source == "." or is_in_context(source)), source


def test_all_that_the_wheel_is_built_of_is_sent_and_nothing_else():
    for path in ("setup.py", "setup.cfg", "pyproject.toml", "README.md", "LICENSE", "NOTICE", "zoo/errors.py"):
        assert (ROOT / path).is_file() and is_in_context(path), path
    assert is_in_context("tuning/command.py") and is_in_context("saved_models/conv_lstm-standin/model_card.md")
    for path in (".git/config", "tests/test_errors.py", "runs/mine/config.json", ".venv/bin/python"):
        assert not is_in_context(path), path


def test_the_page_is_served_by_a_user_without_rights_who_asks_for_a_token():
    found = instructions("Dockerfile")
    (command,) = (json.loads(rest)[-1] for kind, rest in found if kind == "CMD")
    assert command.startswith("exec ser web --host 0.0.0.0 --port 8000") and '--token "$SER_TOKEN"' in command
    kinds = [kind for kind, _ in found]
    assert ("USER", "zoo") in found and kinds.index("USER") < kinds.index("CMD") and ("EXPOSE", "8000") in found
    assert not [rest for kind, rest in found if kind == "ENV" and re.search(r"TOKEN=\"?\w", rest)], "no default token"


def test_the_server_finds_the_model_by_its_name():
    found = dict(instructions("Dockerfile.serving"))
    assert found["ENV"] == "MODEL_NAME=${MODEL}" and found["COPY"] == "saved_models/${MODEL} /models/${MODEL}"
