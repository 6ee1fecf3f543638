"""Write the table network x format of docs/serving.md, by converting every network of the registry.

Each is built with random weights, a linear model fitted to synthetic speech; saved, converted and run in the format's
own runtime. A cell is yes when the answers agree, or the reason why the network was refused. Image networks are left
out: an attempt with AlexNet took over 16 GB of memory.
"""

import argparse
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from zoo.utils.atomic_files import written_aside
from zoo.utils.backends import use_backend
from zoo.utils.cli import run

DOCUMENT = Path(__file__).parents[1] / "docs" / "serving.md"
START, END = "<!-- formats -->\n", "\n<!-- end -->"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit code 1 when it is out of date")
    args = parser.parse_args()
    use_backend("tensorflow")
    from zoo.export.formats import FORMATS, check_installed
    from zoo.registry import MODELS

    for name in FORMATS:
        check_installed(name)
    head = [f"| `--model` | saved_model | {' | '.join(FORMATS)} |", f"|---|---|{'---|' * len(FORMATS)}"]
    rows = []
    for name, entry in MODELS.items():
        if entry.task == "enhancement" or entry.frontend == "image":
            continue
        cells = _cells(name) if entry.fitted == "gradient" else _cells_of_linear(name)
        rows.append(f"| `{name}` | yes | {' | '.join(cells)} |")
        print(rows[-1], flush=True)
    old = DOCUMENT.read_text()
    before, _, rest = old.partition(START)
    new = before + START + "\n".join(head + rows) + END + rest.partition(END)[2]
    if args.check:
        return int(new != old)
    with written_aside(DOCUMENT) as aside:
        aside.write_text(new)
    return 0


def _cells(name: str) -> list[str]:
    """Convert a network to every format; "yes", or the reason why not."""
    from zoo.export.formats import FORMATS, convert, set_direct

    frontend, network, plan = _network(name)
    with TemporaryDirectory(prefix="formats-") as place:
        expected = _saved(Path(place) / "fft", frontend, network, plan)
        has_long = set_direct([network])
        direct = _saved(Path(place) / "direct", frontend, network, plan) if has_long else expected

        def write(format: str) -> None:
            source, folder = (direct if FORMATS[format].direct else expected).folder, Path(place) / format
            folder.mkdir()
            convert(source, format, folder, expected)

        return [_cell(write, format) for format in FORMATS]


def _cell(write: Callable[[str], object], format: str) -> str:
    from zoo.export.formats import RefusedError

    try:
        write(format)
        return "yes"
    except RefusedError as error:
        return f"no: {str(error).partition(': ')[2].partition(', node name')[0][:160].replace('|', '/')}"


def _cells_of_linear(name: str) -> list[str]:
    """Fit a linear model to a few synthetic utterances and export it in every format, as users do."""
    from zoo import registry
    from zoo.config.flags import from_flags
    from zoo.export.formats import FORMATS, export
    from zoo.training.train import train

    with TemporaryDirectory(prefix="formats-") as place:

        def run(model: str, **flags) -> Path:
            corpus = "emodb" if registry.get(model).task == "emotion" else "recola"
            enough = 210 if registry.get(model).options.get("components") else 70  # training clips than components
            flags |= {"corpus": corpus, "synthetic": True, "fold": "0", "clips": 0 if corpus == "recola" else enough}
            flags |= {"cache_dir": f"{place}/cache", "out": f"{place}/{model}"}
            return train(from_flags({"model": model, **flags})).folder

        joint = registry.get(name).frontend == "joint"
        folder = run(name, **({"from_run": str(run("attention_blstm_fcn", epochs=1))} if joint else {}))
        return [_cell(lambda format: export(folder, Path(place) / format, format), format) for format in FORMATS]


def _network(name: str):
    """Build a row's network, with its front-end and plan; its weights are moved, as fresh ones answer all alike."""
    import numpy as np

    from zoo import registry
    from zoo.config import flags as config
    from zoo.config import frame_timing
    from zoo.export import signatures
    from zoo.features import from_config
    from zoo.frontends.opensmile import FEATURE_SETS
    from zoo.runs.dataset import resolve
    from zoo.runs.model_file import looks_at_whole_segments

    entry = registry.get(name)
    corpus = "iemocap" if entry.task == "emotion" else "recola"
    settings = resolve(config.from_flags({"model": name, "corpus": corpus, "synthetic": True}))
    frontend = from_config.frontend(settings)
    inputs, options = settings.bands, dict(settings.option)
    if entry.frontend == "mfcc":
        inputs, options = frontend.channels, {"n_coefficients": frontend.coefficients, **options}
    elif entry.frontend != "log_mel":
        inputs = 1 if entry.frontend == "waveform" else FEATURE_SETS[settings.feature_set]
    outputs = ("a", "b", "c", "d") if entry.task == "emotion" else ("arousal", "valence")
    network = registry.build(name, len(outputs), inputs, **options)
    rng = np.random.default_rng(0)
    for weights in network.trainable_variables:
        weights.assign(weights + rng.normal(0, 0.02, weights.shape))
    plan = signatures.Plan(outputs, 400, 960_000)
    if entry.task == "continuous":
        steps = frame_timing.steps_per_frame(settings)
        whole = frame_timing.segment_frames(settings) if looks_at_whole_segments(network) else 0
        plan = replace(plan, shortest=steps, steps_per_frame=steps, segment_frames=min(whole, 20))
    return frontend, network, plan


def _saved(folder: Path, frontend, network, plan):
    """Save the default signature; returns it loaded, with as much of a description as requests are made from."""
    import tensorflow as tf

    from zoo.export import signatures
    from zoo.serving.saved_model import Exported

    module, functions = signatures.build(frontend, [network], plan)
    tf.saved_model.save(module, str(folder), signatures={"serving_default": functions["serving_default"]})
    features = next(list(item.shape) for item in network.inputs if item.name == "features")
    names = {"waveform": {"shape": [None, None]}} if frontend else {"features": {"shape": features}}
    description = {**asdict(plan), "signatures": {"serving_default": {"inputs": names}}}
    return Exported(folder, description, tf.saved_model.load(str(folder)))


if __name__ == "__main__":
    run(main)
