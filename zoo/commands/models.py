"""List the trained models that commands take by name: what they answer with, their data and its licence.

    ser models
    ser models --json      # an object for each model

They lie in the installed package, or in saved_models/ of a checkout; the variable SPEECH_ZOO_MODELS names another
folder of models, as scripts/export.py writes them.
"""

import json
import shutil
import sys
import textwrap

import zoo
from zoo import pretrained
from zoo.errors import UserError
from zoo.serving.listing import Listed
from zoo.utils.parser import Parser
from zoo.utils.text import printable


def main() -> int:
    parser = Parser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    args = parser.parse_args()
    found = zoo.list_models()
    if not found:
        raise UserError(f"{pretrained.folder()}: no model is there; name a folder of models in SPEECH_ZOO_MODELS")
    width = max(min(shutil.get_terminal_size().columns, 100), 40) if sys.stdout.isatty() else 100
    for number, model in enumerate(found):
        print(json.dumps(model) if args.json else ("\n" if number else "") + in_words(model, width))
    if not args.json:
        best = min(found, key=lambda model: model["trained_on"].startswith("synthetic"))
        print(f"\nTry one: ser predict {best['name']} --example")
    return 0


def in_words(model: Listed, width: int) -> str:
    """Return a model's name and title, and a line for each other fact, wrapped at `width`."""
    outputs = "tells apart" if model["task"] == "emotion" else "rates"
    facts = {
        outputs: ", ".join(model["outputs"]),
        "trained on": model["trained_on"],
        "licence": model["licence"],
        "size": f"{model['megabytes']:.1f} MB",
    }
    lines = [f"{model['name']}: {model['title']}"]
    for name, value in facts.items():
        lines += textwrap.wrap(f"{name:<12}{value}", width, initial_indent="  ", subsequent_indent=" " * 14)
    return "\n".join(map(printable, lines))
