"""Stored features come back as close as each storage says, in both formats."""

import sys

import numpy as np
import pytest

from zoo.errors import UserError
from zoo.features.storage import Stored, read, read_folder, stored, write

NAMES = ["a.wav", "=b\n\udcff.wav", "c"]


@pytest.fixture
def features(rng):
    """Three recordings of 4, 1 and 6 frames; columns of very different sizes, constant ones among them."""
    scales = np.array([1.0, 1e-30, 3e5, 1e-3, 0.0, 1e30])
    made = [rng.normal(size=(n, 6)) * scales + [0, 0, 1e6, -5, 0.1, 0] for n in (4, 1, 6)]
    return [one.astype(np.float32) for one in made]


def back(features, storage):
    return [values for _, values in stored(NAMES, features, storage)]


def test_float32_is_exact(features):
    for found, expected in zip(back(features, "float32"), features, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_float16_keeps_eleven_bits_of_any_column(features):
    made = stored(NAMES, features, "float16")
    assert made.values.dtype == np.float16 and np.isfinite(made.values).all()
    exponents = np.log2(made.scale.astype(np.float64))
    np.testing.assert_array_equal(exponents, np.rint(exponents))
    largest = np.abs(np.concatenate(features)).max(axis=0)
    for (_, found), expected in zip(made, features, strict=True):
        bound = np.maximum(2.0**-11 * np.abs(expected), 2.0**-39 * largest)
        assert (np.abs(found.astype(np.float64) - expected) <= bound).all()
    np.testing.assert_array_equal(
        next(iter(stored(["x"], [np.zeros((2, 3), np.float32)], "float16")))[1], np.zeros((2, 3))
    )


def test_int8_divides_the_range_of_a_column_into_254_steps(features):
    made = stored(NAMES, features, "int8")
    assert made.values.dtype == np.int8 and made.values.min() == -127 and made.values.max() == 127
    every = np.concatenate(features).astype(np.float64)
    steps = (every.max(axis=0) - every.min(axis=0)) / 254
    for (_, found), expected in zip(made, features, strict=True):
        assert (np.abs(found - expected.astype(np.float64)) <= 0.51 * steps + 1e-6 * np.abs(expected)).all()


def test_int8_by_hand():
    made = stored(["x"], [np.array([[0.0, 7.0], [254.0, 7.0], [1.4, 7.0]], np.float32)], "int8")
    assert made.offset.tolist() == [127.0, 7.0] and made.scale.tolist() == [1.0, 1.0]
    assert made.values.tolist() == [[-127, 0], [127, 0], [-126, 0]]
    assert [values.tolist() for _, values in made] == [[[0.0, 7.0], [254.0, 7.0], [1.0, 7.0]]]


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
@pytest.mark.parametrize("storage", ["float32", "float16", "int8"])
def test_files_come_back(tmp_path, features, suffix, storage):
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / f"shard{suffix}"
    for some in (features, []):
        made = stored(NAMES[: len(some)], some, storage)
        write(path, made)
        found = read(path)
        assert list(found.names) == list(made.names) and found.values.dtype == made.values.dtype
        for (name, values), (expected_name, expected) in zip(found, made, strict=True):
            assert name == expected_name
            np.testing.assert_array_equal(values, expected)
    path.write_bytes(b"no features")
    with pytest.raises(UserError, match=r"shard.*: expected features that extract.py wrote, found another"):
        read(path)


def test_bytes_are_those_of_the_storage(tmp_path, rng):
    values, sizes = [rng.normal(size=(200, 40)).astype(np.float32)], {}
    for storage in ("float32", "float16", "int8"):
        write(tmp_path / "x.npz", stored(["x"], values, storage))
        sizes[storage] = (tmp_path / "x.npz").stat().st_size
    assert sizes["float32"] - sizes["float16"] == 16_000 and sizes["float16"] - sizes["int8"] == 8_000


def test_folder_is_read_in_order_without_what_is_unfinished(tmp_path):
    (tmp_path / "shards").mkdir()
    for number in (1, 0):
        one = Stored([f"{number}"], np.array([1]), np.full((1, 2), number, np.float32), np.ones(2), np.zeros(2))
        write(tmp_path / "shards" / f"00000{number}.npz", one)
    (tmp_path / "shards" / ".writing-000002.npz").write_text("half")
    assert [(name, values.tolist()) for name, values in read_folder(tmp_path)] == [("0", [[0, 0]]), ("1", [[1, 1]])]
    with pytest.raises(UserError, match="found no shards of features in it"):
        next(read_folder(tmp_path / "shards"))


def test_parquet_without_pyarrow_names_the_extra(tmp_path, features, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match=r"Parquet needs pyarrow, .*\[parquet\]'. Or take --format npz"):
        write(tmp_path / "x.parquet", stored(NAMES, features, "int8"))
