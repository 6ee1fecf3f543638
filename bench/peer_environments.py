"""Make an environment of its own for each toolkit that `python -m bench peers` compares with.

    python -m bench.peer_environments --out ~/peers
    python -m bench.peer_environments --out ~/peers --only nkululeko

Each is a virtual environment of this Python with pinned versions and PyTorch for processors, some 2 GB on the disk.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.errors import UserError
from zoo.utils.atomic_files import write_json
from zoo.utils.cli import run
from zoo.utils.parser import Parser

TORCH_INDEX = "https://download.pytorch.org/whl/cpu"
FACTS = "environment.json"
_ASK = """
import json, sys
from importlib.metadata import metadata, version
found = metadata(sys.argv[1])
named = [line.rpartition(" :: ")[2] for line in found.get_all("Classifier", []) if line.startswith("License ::")]
licence = found.get("License-Expression") or "; ".join(named) or (found.get("License") or "").partition("\\n")[0]
print(json.dumps({"version": version(sys.argv[1]), "licence": licence, "torch": version("torch"),
                  "python": sys.version.split()[0]}))
"""


@dataclass(frozen=True)
class Peer:
    """A toolkit: what is installed from the index of PyTorch, and what from the usual one."""

    name: str
    torch: tuple[str, ...]
    packages: tuple[str, ...]


PEERS = {
    peer.name: peer
    for peer in (
        Peer("nkululeko", ("torch==2.13.0",), ("nkululeko==1.14.*",)),
        Peer("autrainer", ("torch==2.13.0", "torchaudio", "torchvision"), ("autrainer==0.10.0",)),
    )
}


def main() -> None:
    parser = Parser(prog="python -m bench.peer_environments", description=__doc__)
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder of the environments")
    parser.add_argument("--only", choices=sorted(PEERS), help="make this one (default: all that are absent)")
    parser.add_argument("--torch-index", default=TORCH_INDEX, metavar="URL", help="of PyTorch (default: %(default)s)")
    given = parser.parse_args()
    for peer in [PEERS[given.only]] if given.only else PEERS.values():
        if facts_of(given.out, peer.name):
            print(f"{peer.name}: already there")
            continue
        make(peer, given.out, given.torch_index)
        print(f"{peer.name}: {described(given.out, peer.name)}", flush=True)


def make(peer: Peer, out: Path, torch_index: str) -> None:
    """Make the environment out/NAME; its facts are written last, so that one cut short is not taken for whole.

    Raises UserError where a step fails.
    """
    folder = out / peer.name
    if folder.exists():
        shutil.rmtree(folder)  # of a run that was cut short: it has no facts
    folder.parent.mkdir(parents=True, exist_ok=True)
    for command in commands(peer, folder, torch_index):
        _call(command)
    ask_facts(peer, folder)


def commands(peer: Peer, folder: Path, torch_index: str) -> list[list[str]]:
    """Return the commands that make an environment, one after the other."""
    pip = [str(python_of(folder)), "-m", "pip", "install", "--quiet"]
    index = ["--extra-index-url", torch_index] if torch_index else []
    return [
        [sys.executable, "-m", "venv", str(folder)],
        [*pip, *index, *peer.torch],
        [*pip, *peer.torch[:1], *peer.packages],
    ]


def ask_facts(peer: Peer, folder: Path) -> None:
    """Ask an environment for version and licence of the toolkit and write them to its environment.json."""
    write_json(folder / FACTS, json.loads(_call([str(python_of(folder)), "-c", _ASK, peer.name])))


def facts_of(out: Path, name: str) -> Mapping[str, Any] | None:
    """Return version, licence, torch and python of an environment, None where it is absent or was cut short."""
    path = out / name / FACTS
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def described(out: Path, name: str) -> str:
    """Return version and licence in words."""
    facts = facts_of(out, name)
    assert facts is not None
    return f"{name} {facts['version']} ({facts['licence']}), torch {facts['torch']}, Python {facts['python']}"


def python_of(folder: Path) -> Path:
    """Return the interpreter of an environment. It is not resolved: the link is what makes the environment."""
    return folder.absolute() / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def _call(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        last = "\n".join(f"  {line}" for line in (done.stdout + done.stderr).splitlines()[-15:])
        raise UserError(f"{' '.join(command[:5])} ... failed; is the package index reached? Its last lines:", last)
    return done.stdout


if __name__ == "__main__":
    run(main)
