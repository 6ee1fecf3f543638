"""Score a finished run again, from its saved models and the audio, and say whether the recorded figures come out.

    python scripts/evaluate.py runs/NAME --data-root DIR

Exit code 1 when a figure differs. Whether two runs differ by more than chance is what scripts/compare.py tests.

--json prints one document: run, model, corpus, protocol, figures (as in metrics.json, scored again) and changed (a
sentence for each recorded figure that did not come out again).
"""

import sys
from pathlib import Path
from typing import Any

from zoo import registry
from zoo.config import saved
from zoo.errors import UserError
from zoo.runs import own_pool
from zoo.utils.backends import use_backend
from zoo.utils.parser import Parser


def main() -> int:
    parser = Parser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder that train.py made")
    data = parser.add_argument_group("data")
    data.add_argument("--data-root", default="", help="the corpus's folder (default: as the run was trained)")
    shows = "also show the figures after the post-processing fitted on validation"
    output = parser.add_argument_group("output")
    output.add_argument("--postprocess", action="store_true", help=shows)
    output.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument_group("running").add_argument("--backend", help="Keras backend (default: the run's)")
    args = parser.parse_args()
    settings = saved.load(args.run / "config.json")
    if args.postprocess and registry.get(settings.model).task != "continuous":
        raise UserError(f"--postprocess is for ratings; {args.run} predicts classes of emotion. Leave it out")
    use_backend(args.backend or settings.backend)

    from zoo.training.evaluate import evaluate_run
    from zoo.training.tasks import base as tasks
    from zoo.utils.json_files import document
    from zoo.utils.text import printable

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
