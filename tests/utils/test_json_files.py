import json
import os
import re

import pytest

from zoo.errors import UserError
from zoo.utils.json_files import DEEPEST, parse_json, read_json

SHAPE = {
    "wa": {"value": float},
    "folds": [{"fold": str, "epochs": int}],
    "leakage": [str],
    "notes": {str: (str, list)},
    "seed?": int,
}
VALID = {"wa": {"value": 1}, "folds": [{"fold": "0", "epochs": 3}], "leakage": [], "notes": {"a": "b"}, "more": None}


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "no JSON"),
        (b"{", "no JSON"),
        (b"[1,]", "no JSON"),
        (b'{"a": NaN}', "NaN"),
        (b"[-Infinity]", "-Infinity"),
        (b"[1e999]", "1e999"),
        (b"1" * 5000, "5000 digits"),
        (b"[%d]" % 2**63, "64 bits"),
        (b"\xff\xfe\xff", "utf-16"),
        (b'"\xe9"', "utf-8' codec"),
        (b"[" * 100_000 + b"]" * 100_000, "deeper"),
        (b'{"a":' * (DEEPEST + 1) + b"1" + b"}" * (DEEPEST + 1), "deeper"),
    ],
)
def test_damaged_or_foreign_json_is_an_error_that_names_file_purpose_and_finding(tmp_path, content, found):
    path = tmp_path / "metrics.json"
    path.write_bytes(content)
    message = rf"metrics\.json: expected a run's figures, found .*{re.escape(found)}.*Restore the file"
    with pytest.raises(UserError, match=message):
        read_json(path, "a run's figures")


@pytest.mark.parametrize(
    ("make", "found"),
    [(os.mkdir, "found a folder"), (os.mkfifo, "no regular file"), (lambda path: None, "No such file")],
)
def test_a_folder_a_pipe_or_nothing_in_place_of_the_file_is_an_error(tmp_path, make, found):
    make(tmp_path / "x.json")
    with pytest.raises(UserError, match=rf"x\.json: expected a record.*{found}"):
        read_json(tmp_path / "x.json", "a record")


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"wa": 1.0}, "a number in 'wa', not a mapping"),
        ({"wa": {}}, "'wa' without value"),
        ({"wa": {"value": True}}, "true or false in 'wa.value', not a number"),
        ({"wa": {"value": None}}, "null in 'wa.value', not a number"),
        ({"folds": {}}, "a mapping in 'folds', not a list"),
        ({"folds": [{"fold": 1, "epochs": 1}]}, "a whole number in 'folds[0].fold', not a text"),
        ({"folds": [{"fold": "0", "epochs": 1.5}]}, "a number in 'folds[0].epochs', not a whole number"),
        ({"leakage": "none"}, "a text in 'leakage', not a list"),
        ({"seed": "0"}, "a text in 'seed', not a whole number"),
        ({"notes": {"a": 3}}, "a whole number in 'notes.a', not a text"),
    ],
)
def test_another_shape_is_named_with_the_place_it_differs(changes, found):
    with pytest.raises(ValueError, match=re.escape(found)):
        parse_json(json.dumps({**VALID, **changes}), SHAPE)


def test_valid_json_of_the_shape_is_returned_in_any_unicode_encoding(tmp_path):
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32"):
        (tmp_path / "x.json").write_bytes(json.dumps(VALID).encode(encoding))
        assert read_json(tmp_path / "x.json", "a record", SHAPE) == VALID
    with pytest.raises(ValueError, match="a list, not a mapping"):
        parse_json("[]", SHAPE)
