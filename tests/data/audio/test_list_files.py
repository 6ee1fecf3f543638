"""Lists of any size and form give the same names; what is no list is refused by name."""

import sys

import pytest

from zoo.data.audio import list_files
from zoo.errors import UserError

NAMES = ["good.wav", "sub folder/käse.flac", "声/音.wav", " spaces .wav ", "a,b.wav"]


def read(path):
    return list(list_files.names_of(path, f"--list {path}"))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\0"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("block", [7, 1 << 20])
def test_long_text_is_read_in_blocks_as_a_short_one_at_once(tmp_path, monkeypatch, end, mark, block):
    path = tmp_path / "names.txt"
    path.write_bytes(mark + end.join([*NAMES, "", "\udcff.wav", ""]).encode("utf-8", "surrogateescape"))
    at_once = read(path)
    monkeypatch.setattr(list_files, "_WHOLE_BYTES", 0)
    monkeypatch.setattr(list_files, "names_in", None)
    monkeypatch.setattr(list_files, "_BLOCK", max(block, 7))
    if block == 7 and end != "\0":
        path.write_bytes(mark + b"a" + end.encode() + path.read_bytes().removeprefix(mark))  # an end in the first block
        at_once = ["a", *at_once]
    assert read(path) == at_once == [*["a"] * (len(at_once) - 6), *NAMES, "\udcff.wav"]


def test_long_list_in_another_encoding_is_read_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(list_files, "_WHOLE_BYTES", 0)
    for encoding, end in (("utf-16", "\n"), ("utf-16-le", "\0"), ("utf-8", "\r")):
        (tmp_path / "names").write_bytes(end.join([*NAMES, ""]).encode(encoding))
        assert read(tmp_path / "names") == NAMES, encoding


def test_column_of_files_in_tables(tmp_path):
    (tmp_path / "t.csv").write_text('\ufefffile,emotion\n"a,b.wav",sad\n\nc.wav,\n', encoding="utf-8")
    (tmp_path / "t.tsv").write_text("emotion\tfile\nsad\ta,b.wav\n\tc.wav\n")
    assert read(tmp_path / "t.csv") == read(tmp_path / "t.tsv") == ["a,b.wav", "c.wav"]
    (tmp_path / "plain.csv").write_text("a.wav\nb.wav\n")
    assert read(tmp_path / "plain.csv") == ["a.wav", "b.wav"]
    (tmp_path / "other.csv").write_text("path,emotion\na.wav,sad\n")
    with pytest.raises(UserError, match=r"--list .*other.csv: expected a column 'file', found path, emotion"):
        read(tmp_path / "other.csv")
    (tmp_path / "hole.csv").write_text("file,emotion\na.wav,sad\n,sad\n")
    with pytest.raises(UserError, match="line 3: expected the name of a file, found none"):
        read(tmp_path / "hole.csv")


def test_parquet(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    names = [f"{number}.wav" for number in range(10_000)]
    parquet.write_table(arrow.table({"n": range(len(names)), "file": names}), tmp_path / "t.parquet")
    assert read(tmp_path / "t.parquet") == names
    parquet.write_table(arrow.table({"path": ["a.wav"], "n": [1]}), tmp_path / "other.parquet")
    with pytest.raises(UserError, match=r"other.parquet: expected a column 'file', found path, n\."):
        read(tmp_path / "other.parquet")
    parquet.write_table(arrow.table({"file": ["a.wav", None]}), tmp_path / "hole.parquet")
    with pytest.raises(UserError, match="expected names of files in column 'file', found None"):
        read(tmp_path / "hole.parquet")
    (tmp_path / "none.parquet").write_text("no table at all")
    with pytest.raises(UserError, match="expected a table in Parquet, found"):
        read(tmp_path / "none.parquet")


def test_parquet_without_pyarrow_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "t.parquet").write_text("")
    with pytest.raises(UserError, match=r"Parquet needs pyarrow, .*\[parquet\]'. Or save the table as CSV"):
        read(tmp_path / "t.parquet")


def test_list_that_cannot_be_read(tmp_path):
    with pytest.raises(UserError, match=r"--list .*absent.txt: cannot be read \(No such file"):
        read(tmp_path / "absent.txt")
    with pytest.raises(UserError, match=r"--list .*absent.parquet: cannot be read \(No such file"):
        read(tmp_path / "absent.parquet")
    with pytest.raises(UserError, match="cannot be read"):
        read(tmp_path)
