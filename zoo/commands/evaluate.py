"""Score a finished run again and compare with its record, or score any model on any labelled data.

    python scripts/evaluate.py runs/NAME --data-root DIR
    python scripts/evaluate.py runs/NAME --corpus emodb --data-root DIR
    python scripts/evaluate.py attention_blstm_fcn-ravdess --corpus table --data-root labels.csv --label-map map.csv
    python scripts/evaluate.py EXPORT --corpus ravdess+table:mine/labels.csv --data-root DIR --out results/mine

Without --corpus a run is scored from its saved models and the audio, and it is said whether the recorded figures come
out; exit code 1 when one differs. Whether two runs differ by more than chance is what scripts/compare.py tests. --json
then prints one document: run, model, corpus, protocol, figures (as in metrics.json, scored again) and changed (a
sentence for each recorded figure that did not come out again).

With --corpus any run or export is scored on a corpus, a table of one's own or several of them (a+b). Labels and classes
meet by common names (anger and angry are one class) and by --label-map; clips of labels that the model has no class for
are counted and left out. Clips that the model was trained on are recognised by hashes of their audio, or by corpus and
name for models of earlier versions, and reported apart. The models of a run's folds are averaged; --fold takes one.
Intervals are of 95 % over speakers. --out writes metrics.json, predictions.csv and confusion.png. --json then prints
what metrics.json holds.
"""

import sys
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo import registry
from zoo.config import flags, saved
from zoo.config.run_config import RunConfig
from zoo.errors import UserError
from zoo.models.weights.kinds import is_converted
from zoo.runs import own_pool
from zoo.utils.backends import use_backend
from zoo.utils.parser import Parser
from zoo.utils.text import printable

# Fields of RunConfig that say which data and how it is read; each is a flag, as train.py has it.
DATA = (
    *("target", "column", "label_map", "from_names", "audio_root"),
    *("synthetic", "clips", "allow_incomplete", "on_bad_clip", "max_clip_seconds"),
)


def main() -> int:
    args = _parser().parse_args()
    given = {name: getattr(args, name) for name in DATA if hasattr(args, name)}
    if args.corpus:
        if args.postprocess:
            raise UserError("--postprocess is for a run on its own test clips; leave out --corpus or that")
        return _on_other_data(args, given)
    own = [f"--{name.replace('_', '-')}" for name in given]
    own += [f"--{name}" for name in ("fold", "out", "runtime") if getattr(args, name) is not None]
    if own:
        raise UserError(f"{', '.join(own)}: for other data, which --corpus names; add that, or leave it out")
    return _again(args)


def _parser() -> Parser:
    parser = Parser(description=__doc__)
    parser.add_argument(
        "run", type=Path, help="folder of a run, an export or published weights, or a name in saved_models/"
    )
    data = parser.add_argument_group("data")
    data.add_argument("--corpus", default="", help="other data: a corpus, table, table:PATH, or several as a+b")
    data.add_argument("--data-root", default="", help="the corpus's folder or table (default: as the run was trained)")
    for name in DATA:
        flags.add_flag(data, name)
    output = parser.add_argument_group("output")
    shows = "also show the figures after the post-processing fitted on validation"
    output.add_argument("--postprocess", action="store_true", help=shows)
    output.add_argument("--json", action="store_true", help="print one JSON document")
    output.add_argument("--out", type=Path, help="folder for metrics.json, predictions.csv and a figure")
    running = parser.add_argument_group("running")
    running.add_argument("--fold", help="runs: number of the one fold whose model is scored (default: all, averaged)")
    running.add_argument("--backend", help="runs: Keras backend (default: the run's)")
    computed = "exports: auto, onnx or tensorflow (default: auto, the first they have)"
    running.add_argument("--runtime", choices=("auto", "onnx", "tensorflow"), help=computed)
    return parser


def _again(args: Namespace) -> int:
    """Score a run on its own test clips; return the exit code."""
    if is_converted(args.run):
        raise UserError(f"{args.run} holds published weights, which have no test clips here; name data by --corpus")
    if not (args.run / "config.json").is_file() and _is_export(args.run):
        raise UserError(f"{args.run} is an export, which does not say where its corpus lies; name data by --corpus")
    settings = saved.load(args.run / "config.json")
    if args.postprocess and registry.get(settings.model).task != "continuous":
        raise UserError(f"--postprocess is for ratings; {args.run} predicts classes of emotion. Leave it out")
    use_backend(args.backend or settings.backend)

    from zoo.training.evaluate import evaluate_run
    from zoo.training.tasks import base as tasks
    from zoo.utils.json_files import document

    summary, changed = evaluate_run(args.run, args.data_root)
    shown = summary if args.postprocess else {key: value for key, value in summary.items() if key != "postprocessed"}
    if args.json:
        about: dict[str, Any] = {"run": str(args.run), "model": settings.model, "corpus": settings.corpus}
        about |= {"protocol": summary["protocol"], "figures": shown, "changed": changed}
        sys.stdout.write(document(about))
        return 1 if changed else 0
    title = f"{args.run}: {settings.model} on {settings.corpus}, {summary['protocol']}"
    tasks.of(settings.model).report.print_metrics(shown, title)
    for line in own_pool.in_words(summary.get("corpora", {})):
        print(printable(line))
    print("\n".join(map(printable, changed)) if changed else "the recorded figures come out again")
    return 1 if changed else 0


def _on_other_data(args: Namespace, given: Mapping[str, Any]) -> int:
    """Score a run, an export or a published head on other data; return the exit code."""
    from zoo.inference.open_predictor import begin_weights

    of_runs = ["--fold"] * bool(args.fold) + ["--max-clip-seconds"] * ("max_clip_seconds" in given)
    if begin_weights(args.run, ", ".join(of_runs), args.runtime or "auto", args.backend):
        return _score(args, given, args.run, exported=False)
    exported = not (args.run / "config.json").is_file()
    if exported and (args.fold or args.backend or "max_clip_seconds" in given):
        raise UserError(
            f"--fold, --backend and --max-clip-seconds are for runs, and {args.run} is none; leave them out"
        )
    if not exported and args.runtime:
        raise UserError(f"--runtime is for exports, and {args.run} is a run; leave it out")
    if not exported:
        use_backend(args.backend or saved.load(args.run / "config.json").backend)
    from zoo import pretrained

    place = pretrained.find(args.run) if exported else args.run
    return _score(args, given, place, exported)


def _score(args: Namespace, given: Mapping[str, Any], place: Path, exported: bool) -> int:
    """Score what is in `place`, print and write the results; return the exit code."""
    config = _config(args, given)
    from zoo.reports import any_data as report
    from zoo.studies import evaluate_on
    from zoo.utils.json_files import document

    results, rows = evaluate_on.evaluate_on(place, exported, config, args.fold, args.runtime or "auto")
    if args.out:
        evaluate_on.write(args.out, results, rows)
    if args.json:
        sys.stdout.write(document(results))
        return 0
    report.print_results(results)
    if args.out:
        print(f"results: {printable(str(args.out))}")
    return 0


def _config(args: Namespace, given: Mapping[str, Any]) -> RunConfig:
    """Return the configuration that names the data; of it only the fields about data are read."""
    words = {**given, "corpus": args.corpus, "data_root": args.data_root}
    return flags.from_flags(words)


def _is_export(place: Path) -> bool:
    from zoo import pretrained
    from zoo.serving.versions import version_folder

    return bool(version_folder(place) or str(place) in pretrained.names())
