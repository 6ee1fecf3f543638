"""Write a small synthetic corpus in exactly the layout of a real one, to try recipes without its licence."""

import json
import shlex
from pathlib import Path

from zoo.data.corpora import registry as corpora
from zoo.data.synthetic.corpora import MARKER, synthesize
from zoo.utils.parser import Parser
from zoo.utils.text import printable

MODELS = {"recola": "conv_lstm", "mediaeval_music": "lstm_drnn"}  # to try a corpus with, where not the usual one


def main() -> int:
    parser = Parser(
        description=__doc__ + " The voice is\nsynthetic: scores on it say nothing about real speech.",
        epilog=f"{corpora.in_plain_text()}\n\n"
        "example: python scripts/synthesize.py --corpus iemocap --out corpora/iemocap-synthetic --clips 200",
    )
    what = parser.add_argument_group("what to write")
    what.add_argument(
        "--corpus", required=True, type=corpora.as_spelt, metavar="NAME", help="layout to follow; see below"
    )
    what.add_argument("--clips", type=int, default=0, metavar="N", help="number of clips (default: as usual for it)")
    what.add_argument("--layout", default="", metavar="NAME", help="release to follow, e.g. website (recola only)")
    what.add_argument("--seed", type=int, default=0, metavar="N", help="same seed, same bytes (default: %(default)s)")
    where = parser.add_argument_group("where to")
    where.add_argument("--out", type=Path, required=True, metavar="DIR", help="corpus root; a new or an empty folder")
    arguments = parser.parse_args()
    root = synthesize(arguments.corpus, arguments.out, arguments.clips, arguments.seed, layout=arguments.layout)
    n_clips = json.loads((root / MARKER).read_text())["clips"]
    print(f"synthetic {arguments.corpus}: {n_clips} synthetic clips in {printable(str(root))}")
    print("Try it (the scores are those of a synthetic voice):")
    recipe = f"--model {MODELS.get(arguments.corpus, 'attention_blstm_fcn')} --corpus {arguments.corpus}"
    print(f"  python scripts/train.py {recipe} --data-root {printable(shlex.quote(str(root)))}")
    return 0
