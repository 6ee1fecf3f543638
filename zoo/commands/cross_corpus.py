"""Train on each of several corpora and test on each: a matrix of UA with intervals, features standardised or not.

    python scripts/cross_corpus.py --model compare_svm --corpora ravdess emodb table:nemo/data.tsv --data-root DIR
    python scripts/cross_corpus.py --model attention_fcn --corpora ravdess emodb --classes angry,sad --seeds 0 1 2
    python scripts/cross_corpus.py --corpora ravdess emodb cremad --family germanic=ravdess,emodb,cremad --out cross

--data-root is the folder that holds all corpora; a corpus in another folder of it is emodb:FOLDER, a table table:FILE.
Results lie in --out: matrix.json, .csv, .md, .png and .svg, and a folder per fold. Repeat an interrupted command to go
on: finished folds are kept. The other flags are those of train.py.
"""

import sys
from pathlib import Path

from zoo.config import flags, packages
from zoo.data.corpora.names import SEPARATOR
from zoo.data.corpora.pool import members
from zoo.errors import UserError, unknown
from zoo.runs import own_pool
from zoo.runs.dataset import open_source, resolve
from zoo.studies.cross_corpus_cells import check_families
from zoo.utils.backends import announce_device, use_backend
from zoo.utils.parser import Numbers, Parser
from zoo.utils.text import printable

_NORMALIZE = {"both": (False, True), "off": (False,), "on": (True,)}


def main() -> None:
    given = parse()
    families = _families(given.pop("family"))
    seeds, normalize, others = given.pop("seeds"), given.pop("normalize"), not given.pop("no_others")
    check_families(families, [member.name for member in members(given["corpus"])])
    if len(set(seeds)) < len(seeds):
        raise UserError(f"--seeds {' '.join(map(str, seeds))}: a seed is given twice. Give each once")
    if normalize not in _NORMALIZE:
        raise unknown("--normalize", normalize, _NORMALIZE)
    if normalize != "off":
        flags.from_flags({**given, "normalize_corpora": True})  # refuses networks that cannot
    settings = flags.from_flags(given)
    packages.check(settings)
    use_backend(settings.backend)
    settings = resolve(settings)
    source = open_source(settings)  # reports a wrong folder before the backend takes its seconds to start

    from zoo.studies import cross_corpus, cross_corpus_report

    cross_corpus.check(settings)
    for line in own_pool.in_words(source.about["corpora"]):
        print(printable(line))
    announce_device()
    record = cross_corpus.measure(settings, _NORMALIZE[normalize], seeds, families, others)
    record["command"] = _command()
    cross_corpus_report.write(record, Path(settings.out))
    for line in cross_corpus_report.lines(record):
        print(printable(line))
    print(f"results: {printable(settings.out)}")


def parse() -> dict:
    parser = Parser(description=__doc__)
    flags.add_flags(parser)
    parser.hide(("corpus", "fold", "seed"))  # the study sets them
    study = parser.add_argument_group("study")
    study.add_argument("--corpora", nargs="+", required=True, metavar="CORPUS", help="two or more")
    what = "features standardised by each corpus's own clips: both | on | off (default: both)"
    study.add_argument("--normalize", default="both", help=what)
    study.add_argument("--seeds", action=Numbers, nargs="+", default=(0,), help="of each training (default: 0)")
    named = "NAME=A,B: corpora of one family of languages, compared with the others; may be repeated"
    alone = "leave out the row trained on all other corpora together, which takes most of the time"
    study.add_argument("--no-others", action="store_true", help=alone)
    study.add_argument("--family", action="append", default=[], metavar="NAME=A,B", help=named)
    given = vars(parser.parse_args())
    for name in ("corpus", "protocol", "fold", "seed", "normalize_corpora"):
        if name in given:
            raise UserError(f"--{name.replace('_', '-')}: the study sets it itself. Leave it out")
    given["corpus"] = SEPARATOR.join(given.pop("corpora"))
    if len(members(given["corpus"])) < 2:
        raise UserError(f"--corpora {given['corpus']}: expected two corpora or more, found one. Name another one")
    given.setdefault("model", "compare_svm")
    given.setdefault("out", "cross_corpus")
    return given


def _families(texts: list[str]) -> dict[str, list[str]]:
    found = {}
    for text in texts:
        name, equals, corpora = text.partition("=")
        if not (name and equals and len(corpora.split(",")) > 1):
            raise UserError(f"--family {text}: expected NAME=A,B with two corpora or more")
        found[name] = corpora.split(",")
    return found


def _command() -> str:
    """Return the command without the user's folders."""
    words, hidden = [], False
    for word in sys.argv[1:]:
        if hidden:
            word = "DIR"
        hidden = word in ("--data-root", "--out", "--cache-dir")
        words.append(word)
    return f"python scripts/cross_corpus.py {' '.join(words)}"
