"""Write a stand-in for RECOLA (layout of AVEC 2016) from the speech of RAVDESS, to try networks for ratings.

    python scripts/make_recola_standin.py --data-root RAVDESS --out DIR
    python scripts/train.py --model conv_lstm --corpus recola --data-root DIR

18 recordings, each of utterances of one actor; arousal and valence come from the acted emotion. Figures on it are no
figures on RECOLA. The ones in docs/reproduction.md are of 200 s without a delay.
"""

from pathlib import Path

from zoo.data.corpora import registry as corpora
from zoo.data.synthetic.recola_standin import write_standin
from zoo.utils.parser import Parser


def main() -> None:
    parser = Parser(description=__doc__)
    parser.add_argument("--data-root", type=Path, metavar="DIR", help="folder of RAVDESS, as train.py takes it")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new or an empty folder")
    parser.add_argument("--seconds", type=float, default=200.0, help="of each recording (default: %(default)s)")
    parser.add_argument(
        "--delay-seconds", type=float, default=0.0, help="by which ratings are late (default: %(default)s)"
    )
    arguments = parser.parse_args()
    root = corpora.resolve_root("ravdess", arguments.data_root)
    sha256 = write_standin(root, arguments.out, arguments.seconds, arguments.delay_seconds)
    print(f"stand-in for RECOLA: 18 recordings of {arguments.seconds:g} s in {arguments.out}")
    print(f"SHA-256 of audio and labels: {sha256}")
