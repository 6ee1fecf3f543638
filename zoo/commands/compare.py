"""Compare finished runs on the same test clips: differences with intervals, and tests of them.

    python scripts/compare.py runs/A runs/B runs/C

Runs of one configuration that differ in their seed only are one system, whose figures are means over the seeds. Every
system is compared with the first.

--json prints one document: corpus, protocol, clips, speakers, postprocessed, figures, systems (name, runs, seeds,
marks, scores by figure: value, low, high, deviation), differences (figure, reference, other, value, low, high, p and
corrected by test), notes. Figures are shares of 1, with 95 % intervals; what does not apply is null.
"""

import sys
from pathlib import Path

from zoo.studies.compare import compare_runs
from zoo.studies.compare_json import as_json
from zoo.studies.compare_table import FORMATS, SUFFIXES, format_of, print_comparison
from zoo.utils.atomic_files import written_aside
from zoo.utils.parser import Parser


def main() -> int:
    parser = Parser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folder that train.py made; two or more")
    what = parser.add_argument_group("comparison")
    what.add_argument("--all-pairs", action="store_true", help="compare every system with every other")
    what.add_argument("--by-run", action="store_true", help="take every run by itself, also where only seeds differ")
    what.add_argument("--postprocess", action="store_true", help="compare ratings after their post-processing")
    output = parser.add_argument_group("output").add_mutually_exclusive_group()
    output.add_argument("--format", choices=list(FORMATS), help="print in this format (default: tables for a terminal)")
    output.add_argument("--json", action="store_true", help="print one JSON document")
    named = f"write to a file named *{', *'.join(SUFFIXES)} instead"
    output.add_argument("--out", type=Path, metavar="FILE", help=named)
    args = parser.parse_args()
    form = format_of(args.out) if args.out else args.format  # before minutes of work
    comparison = compare_runs(args.runs, args.all_pairs, args.by_run, args.postprocess)
    if args.json:
        sys.stdout.write(as_json(comparison))
    elif args.out:
        with written_aside(args.out) as aside:
            aside.write_text(FORMATS[form](comparison))
    elif form:
        sys.stdout.write(FORMATS[form](comparison))
    else:
        print_comparison(comparison)
    return 0
