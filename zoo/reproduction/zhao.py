"""Make the tables and figures of Zhao et al. 2019: spectrograms to emotions, by attention_blstm_fcn and others."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.config.run_config import RunConfig
from zoo.config.validation import as_flag
from zoo.errors import UserError
from zoo.reproduction import zhao_figures, zhao_tests
from zoo.reproduction.job import Asked, Job, Result, Row, Training
from zoo.reproduction.zhao_runs import Line, folders_of, measures, rows, trainings
from zoo.reproduction.zhao_tests import Claim

BANDS = (30, 40, 60, 80, 100)
WINDOWS_MS = (15.0, 25.0, 40.0, 60.0, 80.0, 100.0, 150.0, 200.0)
FRAGMENT_SECONDS, PANEL_WINDOWS_MS = 2.0, (15.0, 25.0, 50.0, 100.0, 200.0)
PROPOSED = "attention_blstm_fcn"
NETWORKS = {
    "fcn": "fcn",
    "attention_fcn": "attention_fcn",
    "attention_lstm": "attention_lstm",
    "attention_blstm": "attention_blstm",
    "attention_blstm_fcn, 1 layer": "attention_blstm_fcn_1layer",
    "attention_blstm_fcn, 2 layers": PROPOSED,
    "attention_blstm_fcn, 3 layers": "attention_blstm_fcn_3layer",
}
IMAGE_NETWORKS = {"AlexNet": "alexnet_svm", "VGG16": "vgg16_svm", "VGG19": "vgg19_svm"}
_OURS = "attention_blstm_fcn, 2 layers"
_OF_SPECTROGRAMS = ("run", "data", "spectrum", "log_mel", "running")  # groups of flags
_BOTH = ("iemocap", "aibo")
_NEEDS = "IEMOCAP and FAU Aibo (--data-root the folder around both), or one corpus of emotions by --corpus"


def _table_5(asked: Asked) -> list[Line]:
    return [Line(row, model, model) for row, model in NETWORKS.items()]


def _result_5(asked: Asked, folders: Mapping[str, Path]) -> Result:
    stated = [Claim(_OURS, "fcn", 0.05)]
    others = [row for row in NETWORKS if row not in (_OURS, "fcn")]
    ours = [*(Claim(_OURS, row) for row in others), Claim("attention_fcn", "fcn")]
    found, lines = rows(asked, _table_5(asked)), _tests(asked, _table_5(asked), [*stated, *ours])
    drawn = {_title(corpus): _by_name(measures(asked, found, corpus)) for corpus in asked.corpora}
    return Result(found, lines, zhao_figures.bars(drawn, "UA (%)"))


def _table_6(asked: Asked) -> list[Line]:
    return [Line(f"{bands} bands", PROPOSED, f"bands-{bands}", {"bands": bands}) for bands in BANDS]


def _result_6(asked: Asked, folders: Mapping[str, Path]) -> Result:
    lines = _table_6(asked)
    claims = [Claim("40 bands", line.row) for line in lines if line.row != "40 bands"]
    found = rows(asked, lines)
    drawn = {
        _title(corpus): {int(row.split()[0]): one for (row, _), one in measures(asked, found, corpus).items()}
        for corpus in asked.corpora
    }
    return Result(found, _tests(asked, lines, claims), zhao_figures.lines(drawn, "UA (%)", "Mel bands"))


def _windows(asked: Asked) -> list[Line]:
    return [
        Line("15 to 200 ms", PROPOSED, f"window-{ms:g}-ms", {"window_ms": ms}, variant=f"{ms:g} ms")
        for ms in WINDOWS_MS
    ]


def _result_windows(asked: Asked, folders: Mapping[str, Path]) -> Result:
    lines = _windows(asked)
    (best,) = (line.name for line in lines if line.variant == "25 ms")
    claims = [Claim(best, line.name) for line in lines if line.name != best]
    found = rows(asked, lines)
    drawn = {
        _title(corpus): {
            float(variant.split()[0]): one for (_, variant), one in measures(asked, found, corpus).items() if variant
        }
        for corpus in asked.corpora
    }
    below = ["the paper chose 25 ms, on validation clips; what it scored with others is not printed"]
    tests = _tests(asked, lines, claims)
    return Result(found, [*below, *tests], zhao_figures.lines(drawn, "UA (%)", "Window (ms)"))


def _table_7(asked: Asked) -> list[Line]:
    """Lines of the paper's table, of the image networks of its text, and of further networks that are in --out."""
    network = Line("", PROPOSED, PROPOSED, shown=False)
    svms = [
        Line("eGeMAPS", "egemaps_svm", "egemaps_svm"),
        Line("ComParE", "compare_pca_svm", "compare_pca_svm"),
        Line("deep spectrum", "deep_spectrum_svm", "deep_spectrum_svm", of=PROPOSED),
    ]
    images = [Line(row, model, model, {"image_bands": 40}) for row, model in IMAGE_NETWORKS.items()]
    others = [
        Line(f"deep spectrum of {row}", "deep_spectrum_svm", f"deep_spectrum_svm-{model}", of=model)
        for row, model in NETWORKS.items()
        if model != PROPOSED and _all_finished(asked, Line(row, model, model))
    ]
    return [network, *svms, *images, *others]


def _all_finished(asked: Asked, line: Line) -> bool:
    every = [folder for corpus in asked.corpora for folder in folders_of(asked, corpus, line)]
    return all((folder / "metrics.json").is_file() for folder in every)


def _result_7(asked: Asked, folders: Mapping[str, Path]) -> Result:
    lines = _table_7(asked)
    claims = [Claim("deep spectrum", row, 0.01) for row in ("eGeMAPS", "ComParE", *IMAGE_NETWORKS)]
    found = rows(asked, lines)
    drawn = {_title(corpus): _by_name(measures(asked, found, corpus)) for corpus in asked.corpora}
    return Result(found, _tests(asked, lines, claims), zhao_figures.bars(drawn, "UA (%)"))


def _figure_3(asked: Asked) -> list[Line]:
    """Lines of Figures 3 and 4: SVMs on each network's features of each number of bands."""
    lines = []
    for bands in BANDS:
        variant, network = f"{bands} bands", f"{PROPOSED}-bands-{bands}"
        lines += [
            Line("", PROPOSED, network, {"bands": bands}, variant, shown=False),
            Line("proposed", "deep_spectrum_svm", f"deep_spectrum_svm-bands-{bands}", {}, variant, of=network),
        ]
        lines += [
            Line(row, model, f"{model}-bands-{bands}", {"image_bands": bands}, variant)
            for row, model in IMAGE_NETWORKS.items()
        ]
    return lines


def _result_3(asked: Asked, folders: Mapping[str, Path]) -> Result:
    lines = _figure_3(asked)
    of_bands = [f"{bands} bands" for bands in BANDS]
    claims = [Claim(f"proposed, {bands}", f"{row}, {bands}", 0.01) for bands in of_bands for row in IMAGE_NETWORKS]
    found = rows(asked, lines, columns=("UA",))
    drawn: dict[str, Any] = {}
    for corpus in asked.corpora:
        panel = drawn.setdefault(_title(corpus), {})
        for (row, variant), one in measures(asked, found, corpus).items():
            panel.setdefault(row, {})[int(variant.split()[0])] = one
    return Result(found, _tests(asked, lines, claims), zhao_figures.grouped_bars(drawn, "UA (%)", "Mel bands"))


def _result_2(asked: Asked, folders: Mapping[str, Path]) -> Result:
    """Draw one fragment's log-mel spectrograms at all resolutions; nothing is trained."""
    from zoo.frontends.log_mel import LogMel

    for name in asked.given:
        if RunConfig.__dataclass_fields__[name].metadata["group"] not in _OF_SPECTROGRAMS:
            raise UserError(f"{as_flag(name)} has no effect on {asked.job.name}, which trains nothing. Leave it out")
    # Silence cut from the ends would leave panels of different lengths.
    sizes = {"trim_db": 0.0, "bands": BANDS[0], "window_ms": PANEL_WINDOWS_MS[0]}
    named = {"model": PROPOSED, "corpus": asked.corpora[0], **sizes}
    config = asked.config(Training("", named, {"recipe": "paper"}))
    name, fragment = _fragment(asked, config)
    pictures, same = {}, {name: getattr(config, name) for name in ("hop_ms", "mel_scale", "floor", "clip_mean")}
    for bands in BANDS:
        for window_ms in PANEL_WINDOWS_MS:
            features, _ = LogMel(window_ms=window_ms, bands=bands, **same)(fragment[None], np.array([len(fragment)]))
            pictures[bands, window_ms] = np.asarray(features)[0]
    figure = zhao_figures.spectrograms(pictures, FRAGMENT_SECONDS)
    said = f"the loudest {FRAGMENT_SECONDS:g} s of {name}; hop {config.hop_ms:g} ms; panels by mel bands and window"
    return Result([Row("mel spectrograms", "panels", float(len(pictures)))], [said], figure)


def _fragment(asked: Asked, config: RunConfig) -> tuple[str, np.ndarray]:
    """Return the loudest 2 s of the corpus's first utterance that is as long, float32 (samples,) at 16 kHz."""
    from zoo.data.audio.read import read
    from zoo.runs.dataset import open_source, resolve

    length = round(FRAGMENT_SECONDS * 16_000)
    for clip in sorted(open_source(resolve(config)).clips, key=lambda clip: clip.name):
        samples = read(clip.path, segment=clip.segment)
        if len(samples) >= length:
            start = loudest(samples, length)
            return clip.name, samples[start : start + length]
    raise UserError(
        f"{asked.job.name}: expected an utterance of {FRAGMENT_SECONDS:g} s or more, found none in the folds of "
        f"{config.corpus}. Give --fold all, or another corpus"
    )


def loudest(samples: np.ndarray, length: int) -> int:
    """Return where the `length` samples with the most energy begin."""
    energy = np.cumsum(np.concatenate([[0.0], samples.astype(np.float64) ** 2]))
    return int(np.argmax(energy[length:] - energy[:-length]))


def _tests(asked: Asked, lines: Sequence[Line], claims: Sequence[Claim]) -> list[str]:
    """Write tests.csv, the paper's z-tests and ours on every claim that has both rows; return them in words."""
    from zoo.utils.atomic_files import write_csv

    found = []
    for corpus in asked.corpora:
        by_name = {line.name: folders_of(asked, corpus, line) for line in lines if line.shown}
        figures = {} if asked.elsewhere else zhao_tests.printed(asked.job.name, _title(corpus))
        found += zhao_tests.published(claims, corpus, figures)
        found += zhao_tests.ours(claims, corpus, by_name)
    if found:
        write_csv(asked.out / "tests.csv", zhao_tests.with_all_columns(found))
    return zhao_tests.in_words(found)


def _by_name(drawn: Mapping[tuple[str, str], Any]) -> dict[str, Any]:
    return {", ".join(filter(None, key)): one for key, one in drawn.items()}


def _title(corpus: str) -> str:
    from zoo.data.corpora.names import without_folders

    return {"iemocap": "IEMOCAP", "aibo": "Aibo"}.get(corpus, without_folders(corpus))


def _job(name: str, title: str, lines: Any, result: Any, corpora: tuple[str, ...] = _BOTH, needs: str = _NEEDS) -> Job:
    def runs(asked: Asked) -> Iterable[Training]:
        return trainings(asked, lines(asked))

    return Job(name, f"Zhao et al. 2019, {title}", needs, corpora, result, runs)


_WITH_IMAGES = "; --weights DIR of pre-trained image networks for their rows"
JOBS = [
    _job("zhao-table-5", "Table 5: the network, its parts and other systems", _table_5, _result_5),
    _job("zhao-table-6", "Table 6: mel bands", _table_6, _result_6),
    _job("zhao-windows", "section IV: windows of 15 to 200 ms", _windows, _result_windows),
    _job(
        "zhao-table-7",
        "Table 7: SVMs on hand-made features and on deep spectra",
        _table_7,
        _result_7,
        needs=f"{_NEEDS}{_WITH_IMAGES}",
    ),
    Job(
        "zhao-figure-2",
        "Zhao et al. 2019, Figure 2: log-mel spectrograms by mel bands and window",
        "one utterance of 2 s of IEMOCAP, or of another corpus by --corpus",
        ("iemocap",),
        _result_2,
    ),
    *(
        _job(
            f"zhao-figure-{number}",
            f"Figure {number}: image networks and the proposed one by mel bands, {title}",
            _figure_3,
            _result_3,
            (corpus,),
            f"{title} (--data-root its folder), or another corpus by --corpus{_WITH_IMAGES}",
        )
        for number, corpus, title in ((3, "iemocap", "IEMOCAP"), (4, "aibo", "FAU Aibo"))
    ),
]
