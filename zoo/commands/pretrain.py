"""Pre-train a network on recordings without labels: it predicts hidden stretches of their log-mel spectrograms.

    python scripts/pretrain.py --corpus "emodb+table:nemo/data.tsv" --data-root DIR --epochs 20 --out runs/pretrained
    python scripts/pretrain.py --corpus ravdess --data-root DIR --leave-out-speakers 17,18,19,20 --out runs/pretrained
    python scripts/train.py --model residual_bigru --corpus ravdess --data-root DIR --init-from runs/pretrained

Labels are not read. Results lie in --out: model.keras, history.csv and pretrained.json, which names every speaker and
recording: train.py --init-from refuses these weights where it tests one of them (Liu et al. 2020, "Mockingjay", has the
method). Leave the speakers of the test side out, or pre-train on other corpora.
"""

from dataclasses import replace

from zoo.config import flags
from zoo.data.corpora import pool
from zoo.errors import UserError
from zoo.utils.backends import announce_device, use_backend
from zoo.utils.parser import Parser
from zoo.utils.text import printable

_FLAGS = (
    *("model", "recipe", "corpus", "data_root", "synthetic", "clips", "on_bad_clip", "cache_dir"),
    *("window_ms", "hop_ms", "bands", "mel_scale", "floor", "trim_db", "clip_mean", "option", "precision"),
    *("epochs", "batch_size", "optimizer", "momentum", "learning_rate", "schedule", "decay", "weight_decay"),
    *("weight_average", "crop_seconds", "seed", "backend", "out"),
)


def main() -> None:
    parser = Parser(description=__doc__)
    own = parser.add_argument_group("pre-training")
    own.add_argument("--resume", action="store_true", help="go on after the last whole epoch, with the same flags")
    left_out = "NAME,... or CORPUS:NAME,...: their recordings are not used, as those of the test side must not be"
    own.add_argument("--leave-out-speakers", default="", metavar="NAMES", help=left_out)
    group = parser.add_argument_group("as in train.py")
    for name in _FLAGS:
        flags.add_flag(group, name)
    parser.hide(set(_FLAGS) - set(flags.OFTEN))
    given = vars(parser.parse_args())
    resume, names = given.pop("resume"), given.pop("leave_out_speakers")
    speakers = [name.strip() for name in names.split(",")] if names else []
    for name in ("corpus", "out"):
        if not given.get(name):
            raise UserError(f"--{name}: expected one, found none. Add it")
    given.setdefault("model", "residual_bigru")
    settings = flags.from_flags(given)
    settings = replace(settings, patience=settings.epochs, keep="last")
    use_backend(settings.backend)
    pool.members(settings.corpus)  # before the backend takes its seconds to start

    from zoo.training import pretrain

    pretrain.check(settings)
    announce_device()
    folder = pretrain.pretrain(settings, speakers, resume)
    print(f"weights: {printable(str(folder))}; take them by train.py --init-from {printable(str(folder))}")
