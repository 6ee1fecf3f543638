"""Synthetic twins: small corpora of synthetic speech in exactly the layout of the real ones.

They let anybody run every recipe without a licence. A result on a twin is no result on the corpus, so each carries
SYNTHETIC.json. Corpora that are rated continuously are in `zoo.data.synthetic.rated_corpora`.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from numpy.random import Generator

from zoo.data.corpora import ravdess
from zoo.data.synthetic import rated_corpora, voice
from zoo.data.synthetic.rated_corpora import RatedTwin, Seconds, complete_folder, write_lines
from zoo.errors import UserError, unknown

GENERATOR_VERSION = 2  # raise it whenever the same seed gives other bytes
MARKER = "SYNTHETIC.json"


class Utterance(NamedTuple):
    """An utterance to be written; `path` is relative to the corpus root."""

    path: Path
    speaker: str
    label: str
    seconds: float


@dataclass(frozen=True)
class Twin:
    """What the synthetic twin of a corpus of utterances looks like."""

    speakers: Mapping[str, str]  # name -> row of voice.KINDS
    voices: Mapping[str, str]  # label -> row of voice.EMOTIONS
    turns: tuple[int, int]  # bounds of a speaker's clips; the least gives each speaker every class
    path: Callable[[str, str, int, int], str]  # of (speaker, label, turn, how often the speaker had the label before)
    cycle: tuple[str, ...] = ()  # labels in the order of a speaker's turns where it is not the voices' order
    write_labels: Callable[[Path, list[Utterance], Generator], None] | None = None
    rate_hz: int = 16000
    stereo_clips: int = 0
    song: "Twin | None" = None  # a second part, a third of the clips or, if fewer, those above the least number
    usual_seconds: Seconds = (1.0, 2.5)
    bounds: Seconds = (0.2, 60.0)
    layouts: tuple[str, ...] = ("",)
    version: int = GENERATOR_VERSION

    @property
    def clips(self) -> tuple[int, int, int]:
        """The usual, the least and the greatest number of clips."""
        least, most = self.turns
        return 240, least * len(self.speakers), most * len(self.speakers)

    def write(self, root: Path, corpus: str, n_clips: int, seed: int, seconds: Seconds, layout: str) -> None:
        """Write the twin below `root`."""
        rng = np.random.default_rng([seed, *corpus.encode()])
        speakers = {name: voice.draw_speaker(kind, rng) for name, kind in self.speakers.items()}
        utterances = list(_plan(self, n_clips, seconds, rng))
        for index, (path, speaker, label, length) in enumerate(utterances):
            samples = voice.utterance(self.voices[label], speakers[speaker], length, rng, self.rate_hz)
            if index < self.stereo_clips:
                samples = np.stack([samples, samples], axis=1)
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(root / path, samples, self.rate_hz, subtype="PCM_16", format="WAV")
        if self.write_labels:
            self.write_labels(root, utterances, rng)


def synthesize(
    corpus: str, out: Path, n_clips: int = 0, seed: int = 0, seconds: Seconds | None = None, layout: str = ""
) -> Path:
    """Write the synthetic twin of `corpus` and return its root, which is `out`.

    `n_clips` counts all clips, 0 is the usual number: RAVDESS's first 192 are speech, and from 288 on a third are song.
    Clips are `seconds` (shortest, longest; None: as usual) long; speakers and classes are balanced. `layout` names one
    of several releases ("website" of recola), "" the first. The same arguments give the same bytes. `out` appears at
    once, complete, or not at all.

    Raises UserError on an unknown corpus, an `out` that is a file or holds anything, a number of clips or a layout that
    the twin cannot have, a seed below 0, and when the disk refuses.
    """
    twin = _twin(corpus)
    usual, least, most = twin.clips
    n_clips, seconds, layout = n_clips or usual, seconds or twin.usual_seconds, layout or next(iter(twin.layouts))
    if seed < 0:
        raise UserError(f"expected a seed of 0 or more, got {seed}")
    if not least <= n_clips <= most:
        raise UserError(f"a synthetic {corpus} takes {least} to {most} clips, but {n_clips} were asked for (--clips)")
    if not twin.bounds[0] <= seconds[0] <= seconds[1] <= twin.bounds[1]:
        raise ValueError(f"expected (shortest, longest) seconds within {twin.bounds}, found {seconds}")
    if layout not in twin.layouts:
        raise unknown(f"layout of {corpus}", layout, [name or "none, leave --layout away" for name in twin.layouts])
    marker = {"synthetic": True, "corpus": corpus, "seed": seed, "clips": n_clips, "seconds": list(seconds)}
    marker |= {"generator_version": twin.version} | ({"layout": layout} if layout else {})
    with complete_folder(Path(out)) as root:
        twin.write(root, corpus, n_clips, seed, seconds, layout)
        (root / MARKER).write_text(json.dumps(marker, indent=2) + "\n")
    return Path(out)


def cached(corpus: str, cache_dir: Path, n_clips: int = 0, seed: int = 0) -> Path:
    """Return the root of the twin under `cache_dir`, made on the first call. Raises what `synthesize` raises."""
    twin = _twin(corpus)
    n_clips = n_clips or twin.clips[0]
    root = Path(cache_dir) / "synthetic" / f"{corpus}-{n_clips}-{seed}-v{twin.version}"
    if is_synthetic(root):
        return root
    try:
        return synthesize(corpus, root, n_clips, seed)
    except UserError:
        if is_synthetic(root):  # another process made the same twin in the meantime
            return root
        raise


def is_synthetic(root: Path) -> bool:
    """Say whether the corpus at `root` is a synthetic twin."""
    return (root / MARKER).is_file()


def _twin(corpus: str) -> Twin | RatedTwin:
    twins: dict[str, Twin | RatedTwin] = {**TWINS, **rated_corpora.TWINS}
    if corpus not in twins:
        raise unknown("corpus", corpus, twins)
    return twins[corpus]


def _plan(twin: Twin, n_clips: int, seconds: Seconds, rng: Generator) -> Iterator[Utterance]:
    n_song = min(n_clips // 3, n_clips - twin.turns[0] * len(twin.speakers)) if twin.song else 0
    speakers, cycle = list(twin.speakers), twin.cycle or tuple(twin.voices)
    said: Counter[tuple[str, str]] = Counter()
    for index in range(n_clips - n_song):
        turn, position = divmod(index, len(speakers))
        speaker = speakers[position]
        # Starting one label later per speaker balances the classes over the speakers of an unfinished turn.
        label = cycle[(turn + position) % len(cycle)]
        path = twin.path(speaker, label, turn, said[speaker, label])
        said[speaker, label] += 1
        yield Utterance(Path(path), speaker, label, float(rng.uniform(*seconds)))
    if twin.song:
        yield from _plan(twin.song, n_song, seconds, rng)


def _iemocap_path(speaker: str, label: str, turn: int, said: int) -> str:
    session, person = speaker[:5], speaker[5]
    if turn and turn % 5 == 0:
        dialog = f"{session}{'FM'[turn // 5 % 2]}_script0{turn // 5 % 3 + 1}_1"
    else:
        dialog = f"{session}{'FM'[turn // 4 % 2]}_impro{turn // 8 % 8 + 1:02d}"
    return f"Session{session[4]}/sentences/wav/{dialog}/{dialog}_{person}{turn:03d}.wav"


IEMOCAP_TURNS = ("neu", "hap", "sad", "ang", "neu", "exc", "sad", "ang")
# The voice's emotion, the raters' words, and valence, activation and dominance (1 to 5) by the lower of two raters.
IEMOCAP = {
    "neu": ("neutral", ["Neutral state"], (3, 2, 2)),
    "hap": ("happy", ["Happiness"], (4, 3, 3)),
    "exc": ("excited", ["Excited"], (4, 4, 3)),
    "sad": ("sad", ["Sadness"], (1, 2, 2)),
    "ang": ("angry", ["Anger"], (1, 4, 4)),
    "fru": ("frustrated", ["Frustration"], (2, 3, 3)),
    "xxx": ("other", ["Neutral state", "Surprise", "Frustration"], (2, 2, 2)),  # raters who do not agree
}


def _write_iemocap_labels(root: Path, utterances: list[Utterance], rng: Generator) -> None:
    """Write EmoEvaluation/<dialog>.txt: a label line for each utterance, then what each rater said."""
    dialogs = defaultdict(list)
    for utterance in utterances:
        dialogs[utterance.path.parent].append(utterance)
    for folder, turns in dialogs.items():
        lines, end = ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]"], 0.0
        for utterance in turns:
            start = end + rng.uniform(0.5, 1.5)
            end = start + utterance.seconds
            _, words, levels = IEMOCAP[utterance.label]
            means = ", ".join(f"{level + 0.5:.4f}" for level in levels)
            lines += ["", f"[{start:.4f} - {end:.4f}]\t{utterance.path.stem}\t{utterance.label}\t[{means}]"]
            lines += [f"C-E{2 + rater}:\t{words[rater % len(words)]};\t()" for rater in range(3)]
            for rater in range(2):
                valence, activation, dominance = (level + rater for level in levels)
                lines.append(f"A-E{3 + rater}:\tval {valence}; act {activation}; dom  {dominance};\t()")
        write_lines(root / folder.parts[0] / "dialog" / "EmoEvaluation" / f"{folder.name}.txt", lines)


def _write_aibo_labels(root: Path, utterances: list[Utterance], rng: Generator) -> None:
    """Write chunk_labels_{5cl,2cl}_corpus.txt; anger and emphasis are NEGative, the rest IDLe."""
    two = {"A": "NEG", "E": "NEG", "N": "IDL", "P": "IDL", "R": "IDL"}
    rows = sorted((utterance.path.stem, utterance.label, rng.uniform(0.5, 1)) for utterance in utterances)
    for scheme, words in (("5cl", {label: label for label in two}), ("2cl", two)):
        lines = [f"{name} {words[label]} {confidence:.2f}" for name, label, confidence in rows]
        write_lines(root / f"labels/IS2009EmotionChallenge/chunk_labels_{scheme}_corpus.txt", lines)


def _ravdess_path(speaker: str, label: str, turn: int, said: int, channel: str = "01") -> str:
    strong, take = (0, said) if label == "01" else (said % 2, said // 2)  # neutral has no strong clips
    repetition, statement = divmod(take, 2)
    return f"Actor_{speaker}/03-{channel}-{label}-0{strong + 1}-0{statement + 1}-0{repetition + 1}-{speaker}.wav"


def _emodb_path(speaker: str, label: str, turn: int, said: int) -> str:
    texts = ("a01", "a02", "a04", "a05", "a07", "b01", "b02", "b03", "b09", "b10")
    version, text = divmod(said, len(texts))
    return f"wav/{speaker}{texts[text]}{label}{'abcdef'[version]}.wav"


def _cremad_path(speaker: str, label: str, turn: int, said: int) -> str:
    sentences = ("IEO", "TIE", "IOM", "IWW", "TAI", "MTI", "IWL", "ITH", "DFA", "ITS", "TSI", "WSI")
    level, sentence = divmod(said, len(sentences))
    return f"AudioWAV/{speaker}_{sentences[sentence]}_{label}_{('XX', 'LO', 'MD', 'HI')[level]}.wav"


def _write_cremad_votes(root: Path, utterances: list[Utterance], rng: Generator) -> None:
    """Write processedResults/summaryTable.csv and tabulatedVotes.csv, with drawn votes of nine to eleven raters.

    Most of them agree with the label, and tie in one clip out of twenty; the more, the longer the clip is.
    """
    counted = ['"","A","D","F","H","N","S","fileName","numResponses"']
    for modality in (1, 2, 3):
        for row, utterance in enumerate(utterances, start=1):
            votes = [4, 1, 0, 0, 4, 1] if modality == 1 and row % 20 == 0 else _drawn_votes(utterance, rng)
            numbers = ",".join(map(str, votes))
            counted.append(f'"{100_000 * modality + row}",{numbers},"{utterance.path.stem}",{sum(votes)}')
    write_lines(root / "processedResults" / "tabulatedVotes.csv", counted)
    lines = ['"","FileName","VoiceVote","VoiceLevel","FaceVote","FaceLevel","MultiModalVote","MultiModalLevel"']
    for row, utterance in enumerate(utterances, start=1):
        vote = utterance.label[0]
        voice_vote = "A:N" if row % 20 == 0 else vote
        lines.append(f'"{row}","{utterance.path.stem}","{voice_vote}","50","{vote}","50","{vote}","50"')
    write_lines(root / "processedResults" / "summaryTable.csv", lines)


def _drawn_votes(utterance: Utterance, rng: Generator) -> list[int]:
    """Draw votes on A, D, F, H, N and S, of which the label has most."""
    label, n_raters = "ADFHNS".index(utterance.label[0]), int(rng.integers(9, 12))
    agree = float(np.clip(0.4 + 0.3 * (utterance.seconds - 1.0), 0.4, 0.95))
    chances = np.full(6, (1 - agree) / 5)
    chances[label] = agree
    while True:
        votes = rng.multinomial(n_raters, chances)
        if votes[label] > np.delete(votes, label).max():
            return votes.tolist()


RAVDESS_ACTORS = {f"{actor:02d}": "FM"[actor % 2] for actor in range(1, 25)}

TWINS = {
    "iemocap": Twin(
        speakers={f"Ses0{session}{gender}": gender for session in range(1, 6) for gender in "FM"},
        # Any five in a row hold neutral, happy or excited, sad and angry; the protocols drop fru and xxx.
        cycle=(*IEMOCAP_TURNS, "fru", *IEMOCAP_TURNS, "xxx"),
        voices={code: emotion for code, (emotion, *_) in IEMOCAP.items()},
        turns=(5, 1000),
        path=_iemocap_path,
        write_labels=_write_iemocap_labels,
    ),
    "aibo": Twin(
        speakers={f"{school}_0{child}": "child" for child in range(1, 5) for school in ("Ohm", "Mont")},
        voices={"A": "angry", "E": "emphatic", "N": "neutral", "P": "positive", "R": "other"},
        turns=(5, 2000),
        path=lambda speaker, label, turn, said: f"wav/{speaker}_{turn // 2:03d}_{turn % 2:02d}.wav",
        write_labels=_write_aibo_labels,
    ),
    "ravdess": Twin(
        speakers=RAVDESS_ACTORS,
        voices=ravdess.EMOTIONS,
        turns=(8, 48),  # at most 32 of speech and, as there is one singer less, 17 of song
        path=_ravdess_path,
        rate_hz=48000,
        stereo_clips=1,
        # Spoken like the rest: only the names say that it is song. Actor 18 sang nothing, and no one the last two.
        song=Twin(
            speakers={actor: kind for actor, kind in RAVDESS_ACTORS.items() if actor != "18"},
            voices=dict(list(ravdess.EMOTIONS.items())[:6]),
            turns=(0, 17),
            path=partial(_ravdess_path, channel="02"),
        ),
    ),
    "emodb": Twin(
        speakers={f"{n:02d}": "FM"[n in (3, 10, 11, 12, 15)] for n in (3, *range(8, 17))},
        voices={"N": "neutral", "W": "angry", "L": "bored", "E": "disgust", "A": "fearful", "F": "happy", "T": "sad"},
        turns=(7, 420),
        path=_emodb_path,
    ),
    "cremad": Twin(
        speakers={str(actor): "FM"[actor % 2] for actor in range(1001, 1017)},
        voices={"NEU": "neutral", "HAP": "happy", "SAD": "sad", "ANG": "angry", "FEA": "fearful", "DIS": "disgust"},
        turns=(6, 288),
        path=_cremad_path,
        write_labels=_write_cremad_votes,
        version=GENERATOR_VERSION + 1,  # votes by rater came later
    ),
}
