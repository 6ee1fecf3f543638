"""Packages import only packages of lower floors and themselves; libraries are imported only where they belong."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
FLOORS = [
    {"errors", "version", "recipes", "metrics", "layers"},
    {"own_network", "network_entry"},
    {"network_rows"},
    {"utils", "registry", "losses", "losses_auxiliary", "heads", "keras_metrics"},
    {"models", "config", "data", "distributed", "reports", "losses_several", "confidence"},
    {"frontends", "catalogue"},
    {"runs", "serving"},
    {"features"},
    {"inference"},
    {"training", "pretrained"},
    {"studies", "export", "adaptation"},
    {"learning", "reproduction"},
    {"pages"},
    {"web"},
    {"commands"},
]
TENSORFLOW = {"data/audio/in_graph", "data/batches/prefetch", "layers/scan", "layers/replicas", "training/fit"}
TENSORFLOW |= {
    "layers/one_loop_lstm",
    "inference/compiled",
    "training/devices",
    "serving",
    "export",
    "commands/export",
    "commands/serve_request",
}
MODULES = {path.relative_to(ROOT / "zoo").with_suffix(""): path for path in sorted((ROOT / "zoo").rglob("*.py"))}


def imports(path: Path) -> set[str]:
    """Modules that a file imports, those that are named in an import's "from" part or behind it."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    found = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    found |= {f"{n.module}.{alias.name}" for n in nodes if isinstance(n, ast.ImportFrom) for alias in n.names}
    return found - {"zoo.version.__version__"}


def package(name: str) -> str:
    return name.split(".")[1] if "." in name else ""


def test_packages_import_lower_floors_and_themselves():
    floor = {name: number for number, names in enumerate(FLOORS) for name in names}
    for module, path in MODULES.items():
        own = module.parts[0]
        for name in imports(path) if own != "__init__" else ():
            above = {"scripts", "bench", "tests"} | (set() if own == "commands" else {"tuning"})
            assert name.split(".")[0] not in above, (path, name)
            if name.startswith("zoo.") and package(name) != own:
                assert floor[package(name)] < floor[own], f"{path} imports {name}"


def test_no_cycle_between_modules():
    dotted = {"zoo." + ".".join(module.parts): path for module, path in MODULES.items()}
    graph = {n: {m for i in imports(path) for m in dotted if f"{i}.".startswith(f"{m}.")} for n, path in dotted.items()}
    TopologicalSorter(graph).prepare()  # raises CycleError


def test_libraries_are_imported_where_they_belong():
    for module, path in MODULES.items():
        place, libraries = module.as_posix(), {name.split(".")[0] for name in imports(path)}
        inside = any(place == name or place.startswith(f"{name}/") for name in TENSORFLOW)
        assert inside or not any(name.startswith("tensorflow") for name in libraries), path
        if place.startswith(("metrics/", "serving/")) or (place.startswith("data/") and "prefetch" not in place):
            assert "keras" not in libraries, path


def test_modules_can_be_read_in_one_go():
    for folder in ("zoo", "tuning", "scripts"):
        for path in (ROOT / folder).rglob("*.py"):
            assert len(path.read_text().splitlines()) <= 300, path
