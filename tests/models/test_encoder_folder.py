"""Converted folders of encoders that are damaged, of another version, or too large for the memory that is free."""

import json
import subprocess
import sys

import pytest

from zoo.errors import UserError
from zoo.models.encoder_config import EncoderConfig
from zoo.models.weights import encoder_folder, encoder_memory
from zoo.models.weights.families import SIZES


@pytest.fixture
def folder(tmp_path):
    encoder_folder.make_random("wav2vec2", "tiny", tmp_path / "w")
    return tmp_path / "w"


def described(**changes):
    def change(folder):
        path = folder / "encoder.json"
        content = {**json.loads(path.read_text()), **changes}
        path.write_text(json.dumps({name: value for name, value in content.items() if value is not ...}))

    return change


BAD = {
    "weights absent": (
        lambda folder: (folder / encoder_folder.WEIGHTS).unlink(),
        "expected encoder.safetensors beside",
    ),
    "a pointer of git-lfs": (
        lambda folder: (folder / encoder_folder.WEIGHTS).write_text("version https://git-lfs.github.com/spec/v1\n"),
        "changed since it was converted",
    ),
    "another version": (described(format=2), r"of another version \(ValueError\('format 2, not 1'\)\)"),
    "no licence": (described(licence=...), "damaged, or of another version"),
    "settings of another version": (described(config={"family": "wavlm", "width": 3}), "of another version"),
    "no JSON": (lambda folder: (folder / "encoder.json").write_text("{"), "damaged"),
}


@pytest.mark.parametrize("spoil, message", BAD.values(), ids=BAD)
def test_damaged_folders_are_refused(folder, spoil, message):
    spoil(folder)
    with pytest.raises(UserError, match=message):
        encoder_folder.read(folder)


def test_published_sizes_need_what_their_weights_and_scores_take():
    """Base: 94,371,712 weights but for masked_spec_embed (768); 30 s have 1,500 frames, behind 96,000 steps of 512."""
    base = EncoderConfig()
    weights = 94_371_712 - 768 - 128  # the gains of weight normalisation are not stored
    assert encoder_memory.n_weights(base) == weights
    expected = 4 * (weights + 3 * 512 * 96_000 + 2 * 12 * 1_500**2)
    assert encoder_memory.needed_bytes(base, 30) == pytest.approx(expected)
    assert 1.0 < encoder_memory.needed_bytes(base, 30) / 2**30 < 1.2


def test_a_conversion_says_that_memory_is_too_small(monkeypatch):
    large = EncoderConfig(**SIZES["large"])
    monkeypatch.setattr("zoo.utils.memory.free_bytes", lambda: 2**29)  # of 1.2 GB one tensor at a time is held
    encoder_memory.check_conversion("x", large)
    monkeypatch.setattr("zoo.utils.memory.free_bytes", lambda: 2**24)
    with pytest.raises(UserError, match=r"x: expected 0\.2 GiB of free memory, found 0.0 GiB"):
        encoder_memory.check_conversion("x", large)


def test_a_conversion_needs_no_keras(folder, tmp_path):
    """Its backend alone would take more memory than a base encoder."""
    code = (
        "import sys\n"
        "from zoo.commands import convert_weights\n"
        f"for words in ([{str(folder)!r}, '--back', '--out', 'theirs'], ['theirs', '--out', 'ours']):\n"
        "    sys.argv[1:] = words\n"
        "    convert_weights.main()\n"
        "assert not {'keras', 'tensorflow', 'torch', 'jax'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "ours" / encoder_folder.WEIGHTS).is_file()
