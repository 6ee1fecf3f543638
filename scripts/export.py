"""Export a trained run as a SavedModel for TensorFlow Serving, or in another format.

    python scripts/export.py runs/NAME --out saved_models/NAME            # saved_models/NAME/1/saved_model.pb ...
    python scripts/export.py runs/NAME --out DIR --fold 0 --calibrate --data-root CORPUS
    python scripts/export.py runs/NAME --out DIR --postprocess            # continuous ratings
    python scripts/export.py runs/NAME --out DIR --format onnx

The export is made next to its final place, loaded, and compared with the run on every signature; only then does it get
its number, the next free one. docs/serving.md says how to serve it.
"""

import argparse
from pathlib import Path

from zoo.errors import unknown
from zoo.utils.backends import use_backend
from zoo.utils.cli import run

FORMATS = ("saved_model", "onnx", "openvino", "litert")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder that train.py made")
    parser.add_argument("--out", type=Path, required=True, help="folder that gets the numbered version")
    parser.add_argument("--version", type=int, help="its number, above the newest (default: the next)")
    parser.add_argument("--format", default="saved_model", help=f"{', '.join(FORMATS)} (default: saved_model)")
    parser.add_argument(
        "--note", action="append", default=[], help="a sentence on the data for the model card; may be repeated"
    )
    model = parser.add_argument_group("model")
    model.add_argument("--fold", help="number of the one fold to export (default: all, averaged)")
    model.add_argument("--postprocess", action="store_true", help="continuous ratings: with the fitted post-processing")
    model.add_argument(
        "--max-seconds", type=float, help="longer audio is refused (default: 60; 300 for continuous ratings)"
    )
    calibration = parser.add_argument_group("calibration of probabilities")
    calibration.add_argument("--calibrate", action="store_true", help="fit a temperature on the validation clips")
    calibration.add_argument("--data-root", default="", help="the corpus's folder (default: as in the run)")
    args = parser.parse_args()
    if args.format not in FORMATS:
        raise unknown("--format", args.format, FORMATS)
    use_backend("tensorflow")
    _use_cpu()

    from zoo.export.export import export

    options = {"temperature": 1.0, "calibration": None}
    if args.calibrate:
        from zoo.export.fit_temperature import calibrate

        options["calibration"] = calibrate(args.run, args.fold, args.data_root)
        options["temperature"] = options["calibration"]["temperature"]
    options |= {"with_postprocess": args.postprocess, "max_seconds": args.max_seconds}
    if args.format == "saved_model":
        from zoo.export import model_card

        folder = export(args.run, args.out, args.fold, args.version, **options)
        print(f"model card: {model_card.write(folder, args.run, args.fold, args.note)}")
    else:
        folder = _other_format()(args.run, args.out, args.format, fold=args.fold, version=args.version, **options)
    print(f"exported: {folder}")


def _use_cpu() -> None:
    """On a GPU, Keras would write NVIDIA's operations into the graph, which run nowhere else."""
    import tensorflow as tf

    tf.config.set_visible_devices([], "GPU")


def _other_format():
    from importlib.util import find_spec

    from zoo.errors import UserError

    if find_spec("zoo.export.formats") is None:
        raise UserError("--format: only saved_model can be written by this version; leave it out")
    from zoo.export.formats import export

    return export


if __name__ == "__main__":
    run(main)
