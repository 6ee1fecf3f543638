"""Mutated audio files: each gets a finite answer from an export, or a named error; damaged ones only if all is decoded.

The environment's COUNT says how many (COUNT=10000 python -m pytest -s tests/data/audio/test_mutated_files.py). Lists,
streams and arrays are mutated in tests/scripts/test_mutated_inputs.py.
"""

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import recordings as r

tf = pytest.importorskip("tensorflow")

from zoo.data.audio.recording import BAD_KINDS  # noqa: E402
from zoo.inference.export_predictor import of_export  # noqa: E402
from zoo.serving import saved_model  # noqa: E402

COUNT = int(os.environ.get("COUNT", "150"))
AT_ONCE = 500
KINDS = (*r.CONTAINERS, *r.COMPRESSED, "random")


@pytest.fixture(scope="module")
def exported():
    return saved_model.load(Path(__file__).parents[3] / "saved_models" / "attention_blstm_fcn-demo")


def mutated(rng):
    """A content, what it is, and how much every answer must have taken in (0: nothing is known)."""
    container = KINDS[rng.integers(len(KINDS))]
    if container == "random":
        return rng.bytes(int(rng.integers(5_000))), container, 0
    rate_hz = int(rng.choice([8_000, 16_000, 44_100]))
    channels = int(rng.choice([1, 1, 2])) if container.endswith("MP3") else int(rng.choice([1, 1, 2, 8]))
    samples = 0.1 * rng.standard_normal((int(0.3 * rate_hz), channels))
    subtype = ("PCM_16", "PCM_16", "PCM_24", "FLOAT")[rng.integers(3 if container in ("NIST", "AIFC") else 4)]
    whole = r.encoded(container, samples, rate_hz, subtype)
    content, complete = r.damaged(container, whole, rng)
    return content, container, r.held(whole) if complete else 0


def of_files(exported, contents, folder):
    """Ask an export for files. Returns what each came to: "answer", or the kind of its error."""
    paths = [folder / f"{number}.wav" for number in range(len(contents))]
    for path, (content, _, _) in zip(paths, contents, strict=True):
        path.write_bytes(content)
    found = {}
    for row in of_export(exported).predict(paths, on_bad=lambda error: found.setdefault(str(error.path), error.kind)):
        found[row["file"]] = "answer"
        assert all(np.isfinite(value) for value in (row.get("probabilities") or {}).values())
    return [found[str(path)] for path in paths]


def test_mutated_files_are_answered_or_refused(exported, tmp_path):
    rng, figures, refused = np.random.default_rng(0), Counter(), 0
    for begin in range(0, COUNT, AT_ONCE):
        contents = [mutated(rng) for _ in range(min(AT_ONCE, COUNT - begin))]
        for (content, container, size), found in zip(contents, of_files(exported, contents, tmp_path), strict=True):
            figures[container, found] += 1
            assert found == "answer" or found in BAD_KINDS
            assert not size or found != "answer" or r.held(content) == size, container
        for content, _, _ in contents[:COUNT]:
            try:
                (answer,) = exported.on_wav_bytes([content])
            except tf.errors.InvalidArgumentError:
                refused += 1
            else:
                assert np.isfinite(answer).all()
    by_kind = Counter()
    for (_, found), number in figures.items():
        by_kind[found] += number
    print(f"\n{COUNT} files: {dict(by_kind)}; {COUNT - refused} answers to wav_bytes")
    for container in KINDS:
        print(container, {found: number for (of, found), number in figures.items() if of == container})
    assert {"answer", "truncated", "not-audio", "unfinished"} <= by_kind.keys()
    assert 0 < refused < COUNT
