"""Export a trained run as a SavedModel for TensorFlow Serving, or in another format.

    python scripts/export.py runs/NAME --out saved_models/NAME            # saved_models/NAME/1/saved_model.pb ...
    python scripts/export.py runs/NAME --out DIR --fold 0 --calibrate --data-root CORPUS
    python scripts/export.py runs/NAME --out DIR --postprocess            # continuous ratings
    python scripts/export.py runs/NAME --out DIR --format onnx
    python scripts/export.py runs/NAME --out DIR --weights-dtype float16  # half the size, of speech encoders
    python scripts/export.py runs/NAME --out DIR --without-confidence     # although confidence.py fitted one
    python scripts/export.py saved_models/NAME --out saved_models/NAME    # an older export, by this version's rules

The export gets its number, the next free one, once it has been loaded and compared with the run on every signature.
docs/serving.md says how to serve it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zoo.config import saved
from zoo.errors import UserError
from zoo.models.weights.kinds import is_converted
from zoo.serving.description import read_description
from zoo.serving.versions import version_folder
from zoo.utils import extras
from zoo.utils.backends import use_backend
from zoo.utils.parser import Parser
from zoo.utils.text import printable

_FORMS = ("onnx", "keras")


def main() -> None:
    parser = Parser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder that train.py made, or an export to make anew")
    parser.add_argument("--out", type=Path, required=True, help="folder that gets the numbered version")
    parser.add_argument("--version", type=int, help="its number, above the newest (default: the next)")
    names = ("saved_model", "onnx", "openvino", "litert")
    parser.add_argument("--format", choices=names, default="saved_model", help="file format (default: saved_model)")
    parser.add_argument(
        "--note", action="append", default=[], help="a sentence on the data for the model card; may be repeated"
    )
    model = parser.add_argument_group("model")
    model.add_argument("--fold", help="number of the one fold to export (default: all, averaged)")
    model.add_argument("--postprocess", action="store_true", help="continuous ratings: with the fitted post-processing")
    model.add_argument(
        "--max-clip-seconds", type=float, help="longer audio is refused (default: 60; 300 for continuous ratings)"
    )
    second = (
        "what is stored a second time: onnx (zoo.load and ser predict start without TensorFlow), keras "
        "(zoo.load(NAME).trainable()), onnx,keras, or none (default: both where the weights have at most 50 MiB)"
    )
    model.add_argument("--forms", type=_forms, help=second)
    halved = "how weights are stored; float16 halves the export, and the card says what it changes (default: float32)"
    model.add_argument("--weights-dtype", choices=("float32", "float16"), default="float32", help=halved)
    leaves = "leave out the confidence that scripts/confidence.py fitted for the run"
    model.add_argument("--without-confidence", action="store_true", help=leaves)
    calibration = parser.add_argument_group("calibration of probabilities")
    calibration.add_argument("--calibrate", action="store_true", help="fit a temperature on the validation clips")
    calibration.add_argument("--data-root", default="", help="the corpus's folder (default: as in the run)")
    parser.hide(("version", "note", "forms", "weights_dtype", "without_confidence", "max_clip_seconds"))
    args = parser.parse_args()
    _check(args.run, args.format, args.forms or ())
    use_backend("tensorflow")
    import tensorflow as tf

    # On a GPU, Keras would write NVIDIA's operations into the graph, which run nowhere else.
    tf.config.set_visible_devices([], "GPU")
    from zoo.export import export, fit_temperature, formats, model_card, rebuild

    forms: dict[str, Any] = {f"with_{name}": args.forms is None or name in args.forms for name in _FORMS}
    forms["large_forms"] = args.forms is not None

    if version_folder(args.run) and not (args.run / "config.json").is_file():
        own = ["note", "fold", "postprocess", "max_clip_seconds", "without_confidence", "calibrate", "data_root"]
        own.append("weights_dtype")
        given = [name for name in own if getattr(args, name) != parser.get_default(name)]
        if given or args.format != "saved_model":
            words = ", ".join(f"--{name.replace('_', '-')}" for name in given or ["format"])
            raise UserError(f"{words}: for runs, and {args.run} is an export, which keeps its own; leave it out")
        _say(rebuild.rebuild(args.run, args.out, args.version, **forms))
        return

    options = {"fold": args.fold, "version": args.version}
    options |= {"with_postprocess": args.postprocess, "max_seconds": args.max_clip_seconds}
    options |= {"without_confidence": args.without_confidence, "weights_dtype": args.weights_dtype}
    if args.calibrate:
        fitted = fit_temperature.calibrate(args.run, args.fold, args.data_root)
        options |= {"calibration": fitted, "temperature": fitted["temperature"]}
    if args.format == "saved_model":
        folder = export.export(args.run, args.out, **forms, **options)
        print(f"model card: {printable(str(model_card.write(folder, args.run, args.fold, args.note)))}")
    else:
        folder = formats.export(args.run, args.out, args.format, **options)
    _say(folder)


def _forms(words: str) -> tuple[str, ...]:
    names = () if words == "none" else tuple(words.split(","))
    if any(name not in _FORMS for name in names):
        raise UserError(f"--forms {words}: expected onnx, keras, onnx,keras or none")
    return names


def _check(run: Path, format: str, forms: Sequence[str]) -> None:
    """Raise UserError for a folder that is neither run nor export, or an absent package, before TensorFlow starts."""
    if is_converted(run):
        raise UserError(
            f"{run}: expected a run or an export, found published weights, which predict as they are: ser predict "
            f"{run} clip.wav; train a network on their encoder to export that"
        )
    if not version_folder(run):
        saved.load(run / "config.json")
    if format != "saved_model":
        if forms:
            raise UserError(f"--forms is for SavedModels, and --format is {format}; leave one of them out")
        extras.need(format, f"--format {format}", "choose another format")
    if "onnx" in forms:
        extras.need("onnx", "--forms onnx", "leave it out")


def _say(folder: Path) -> None:
    """Name the export, and say why it has no ONNX form, if it has none."""
    if why := read_description(folder).get("without_onnx"):
        print(f"without an ONNX form, so that it takes seconds longer to load: {printable(why)}")
    if why := read_description(folder).get("without_keras"):
        print(f"without a Keras model to be trained further: {printable(why)}")
    print(f"exported: {printable(str(folder))}")
