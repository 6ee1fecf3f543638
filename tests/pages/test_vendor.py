"""Files of other authors' libraries: what is written down of them holds."""

from hashlib import sha256
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = [ROOT / "zoo/pages/vendor", ROOT / "tests/web/vendor"]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.parent.name)
def test_every_file_is_the_one_of_its_release_and_has_its_licence(folder):
    lines = [line.split() for line in (folder / "VERSIONS.txt").read_text().splitlines() if not line.startswith("#")]
    assert {name for _, name, *_ in lines} == {path.name for path in folder.iterdir()} - {
        "VERSIONS.txt",
        "LICENSES.txt",
    }
    licences = (folder / "LICENSES.txt").read_text()
    for digest, name, package, version, _ in lines:
        assert sha256((folder / name).read_bytes()).hexdigest() == digest
        assert f"{name}" in licences and f"{package.lower()} {version}" in licences.lower()
