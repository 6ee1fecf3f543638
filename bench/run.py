"""Measure the zoo against its references: ratios of medians, taken in turns in one run.

    python -m bench
    python -m bench logmel step
    python -m bench step --backends jax torch
    python -m bench peers --peers ~/peers --data-root DIR

Absolute numbers are this machine's; only ratios are compared with a target. All goes into runs/bench.json too.
"""

import os
import platform
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench import inputs, peers
from bench.processes import in_own_process
from bench.result import Result
from zoo.utils.atomic_files import write_json
from zoo.utils.parser import Parser

NAMES = ("logmel", "acoustics", "pipeline", "step", "latency", "memory", "long_convolution", "throughput", "search")
NAMES += ("jax_step", "search_ray", "serving", "streaming", "tables", "imports", "encoders", "encoder_training")
ON_DEMAND = ("peers",)  # minutes, and environments of their own
LIBRARIES = ("tensorflow", "keras", "torch", "librosa", "numpy")


def main() -> None:
    parser = Parser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"what to measure (default: all): {', '.join(NAMES)}; on demand: {', '.join(ON_DEMAND)}",
    )
    parser.add_argument("--backends", nargs="+", choices=("jax", "torch"), default=[], help="measure their step too")
    whole = parser.add_argument_group("whole jobs against other toolkits (peers)")
    whole.add_argument("--peers", metavar="DIR", help="their environments, by python -m bench.peer_environments")
    whole.add_argument("--data-root", metavar="DIR", help="folder of RAVDESS (default: the bench's)")
    whole.add_argument("--jobs", nargs="+", choices=peers.JOBS, default=peers.JOBS, help="run these (default: all)")
    whole.add_argument(
        "--epochs", type=int, default=peers.EPOCHS, metavar="N", help="of the networks (default: %(default)s)"
    )
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that all of it runs, and nothing more")
    parser.add_argument("--out", default="runs/bench.json", help="results as JSON (default: %(default)s)")
    given = parser.parse_args()
    for name in given.names:
        if name not in NAMES + ON_DEMAND:
            parser.error(f"unknown measurement {name!r}; known: {', '.join(NAMES + ON_DEMAND)}")

    print(f"{os.cpu_count()} cores, load {_load()[0]:.1f}, {inputs.kind_of_speech()} speech", flush=True)
    options_of: dict[str, dict[str, Any]] = {
        "step": {"backends": ["tensorflow", *given.backends]},
        "peers": {name: getattr(given, name) for name in ("peers", "data_root", "epochs", "jobs")},
    }
    results: list[Result] = []
    for name in given.names or NAMES:
        options = options_of.get(name, {})
        for result in in_own_process(_measure, name, given.quick, options):
            print(result.line(), flush=True)
            results.append(result)
        write_json(Path(given.out), {**_machine(given.quick), "results": [result.record() for result in results]})
    print(f"results: {given.out}")


def _measure(name: str, quick: bool, options: dict[str, Any]) -> list[Result]:
    return import_module(f"bench.{name}").measure(quick, **options)


def _load() -> Sequence[float]:
    """Return the numbers of waiting processes over 1, 5 and 15 minutes; Windows counts none."""
    return os.getloadavg() if hasattr(os, "getloadavg") else (0.0, 0.0, 0.0)


def _machine(quick: bool) -> dict[str, Any]:
    return {
        "quick": quick,
        "speech": inputs.kind_of_speech(),
        "cores": os.cpu_count(),
        "load_average": _load(),
        "processor": platform.machine(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in LIBRARIES if find_spec(name)},
    }
