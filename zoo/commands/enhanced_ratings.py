"""Rate noisy recordings as they are and enhanced, and print the table: MixedEmotions D4.2, section 3, Table 4.1.

    python scripts/enhanced_ratings.py --corpus recola --data-root DIR --noise NOISE --enhance matched --snr 0 3 6
    python scripts/enhanced_ratings.py --corpus recola --synthetic --noise NOISE --out runs/mine

Trains mfcc_svr on clean recordings and, in folders in its folder, denoising autoencoders (for each ratio, matched, or
one for all, mixed). Each is scored on the test recordings in noise, conditions.csv: the regression as it is and with an
enhancer in front of it (the published table), and regressions fitted behind it, on clean and on noisy recordings. The
folders are runs like any other. Given again with --resume, the same command goes on where it was interrupted. The
other flags are those of train.py for mfcc_svr.
"""

from zoo.config import flags
from zoo.config.run_config import RunConfig
from zoo.errors import UserError, unknown
from zoo.runs.dataset import open_source, resolve
from zoo.utils.backends import announce_device, use_backend
from zoo.utils.parser import Parser


def main() -> None:
    parser = Parser(description=__doc__)
    flags.add_flags(parser)
    parser.hide(("model",))
    ratios = " ".join(f"{snr_db:g}" for snr_db in RunConfig.snr)
    parser.add_argument("--enhance", default="mixed", help="matched | mixed: enhancers (default: mixed)")
    parser.add_argument("--snr", type=float, nargs="+", default=RunConfig.snr, help=f"in dB (default: {ratios})")
    parser.add_argument("--resume", action="store_true", help="go on with the study in --out")
    given = vars(parser.parse_args())
    enhance, ratios_db, resume = given.pop("enhance"), tuple(given.pop("snr")), given.pop("resume")
    noise = given.pop("noise", "")
    if enhance not in ("matched", "mixed"):
        raise unknown("--enhance", enhance, ("matched", "mixed"))
    for name in ("model", "enhancer"):
        if name in given:
            raise UserError(f"--{name} {given[name]}: the study trains mfcc_svr and its enhancers itself. Leave it out")
    given |= {"model": "mfcc_svr", "corpus": given.get("corpus", "recola")}
    settings = flags.resume(given) if resume else flags.from_flags(given)
    use_backend(settings.backend)
    open_source(resolve(settings))  # reports a wrong folder before the backend takes its seconds to start

    from zoo.runs.folder import read_record
    from zoo.studies import enhanced_ratings
    from zoo.training.tasks import base as tasks
    from zoo.utils.text import printable

    announce_device()
    finished = enhanced_ratings.measure(settings, enhance, noise, ratios_db, resume)
    tasks.of(settings.model).report.print_metrics(read_record(finished.folder), finished.title())
    print(f"results: {printable(str(finished.folder))}")
