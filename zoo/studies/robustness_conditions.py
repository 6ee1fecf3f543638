"""List the conditions a run is scored in, and open the utterances, noise, rooms and microphones they need."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from zoo.data.augmentation import impulse_responses
from zoo.data.augmentation.additive_noise import SNR_LEVELS, Noises, open_noises
from zoo.data.augmentation.conditions import Condition, Responses, degrader
from zoo.data.schema import Fold
from zoo.errors import UserError, unknown
from zoo.features import noisy_copies

SNR_DB = (0.0, 5.0, 10.0, 15.0, 20.0)
DRAWN_ROOMS: Mapping[str, Callable[..., np.ndarray]] = {
    "simulated": impulse_responses.simulate,
    "exponential": impulse_responses.exponential,
}
REVERBERATION_SECONDS = {"small": 0.25, "medium": 0.5, "large": 0.75}  # of the three rooms that are drawn
SIDE = "test"  # of the noise


@dataclass(frozen=True)
class Asked:
    """The conditions that a user chose.

    `noise` and `microphones` are folders, `rooms` is one too or a key of `DRAWN_ROOMS`. `split` is how noise is divided
    (None: as the run's configuration has it). `by_noise` adds each recording of noise by itself, `chain` each
    microphone in each room. `n_clips` is the size of a subset of the test clips (0: all of them).
    """

    noise: str = ""
    snr_db: Sequence[float] = ()
    rooms: str = ""
    microphones: str = ""
    by_noise: bool = False
    chain: bool = False
    level: str = SNR_LEVELS[0]
    split: str | None = None
    seed: int = 0
    fold: str | None = None
    n_clips: int = 0

    @property
    def ratios_db(self) -> list[float]:
        """The signal-to-noise ratios, the highest first; none without noise."""
        return sorted(self.snr_db or SNR_DB, reverse=True) if self.noise else []


@dataclass(frozen=True)
class Case:
    """One row of the result. With `noise`, the condition's noise is that recording alone."""

    condition: Condition = field(default_factory=Condition)
    noise: str | None = None

    @property
    def name(self) -> str:
        return self.condition.name + (f" of {self.noise}" if self.noise is not None else "")


@dataclass(frozen=True)
class Sounds:
    """Noise and impulse responses of all conditions."""

    noises: Noises | None
    rooms: Responses
    microphones: Responses
    rate_hz: int


def check(asked: Asked) -> None:
    """Raise UserError for options that exclude each other, have no effect or are out of range."""
    snr = " ".join(f"{snr_db:g}" for snr_db in asked.snr_db)
    if asked.snr_db and not asked.noise:
        raise UserError(f"--snr {snr} needs --noise DIR, a folder of recordings of noise, found none. Add it")
    if not (asked.noise or asked.rooms or asked.microphones):
        raise UserError("nothing to do: expected --noise, --rooms or --microphones, found none of them. Add one")
    if asked.chain and not (asked.rooms and asked.microphones):
        found = "--rooms alone" if asked.rooms else "--microphones alone" if asked.microphones else "neither"
        raise UserError(f"--chain needs --rooms and --microphones, found {found}. Add what is missing, or leave it out")
    if asked.level not in SNR_LEVELS:
        raise unknown("--snr-level", asked.level, SNR_LEVELS)
    if asked.seed < 0:
        raise UserError(f"--seed is {asked.seed}, expected 0 or more")
    if not np.isfinite(asked.snr_db).all() or len(set(asked.snr_db)) < len(asked.snr_db):
        raise UserError(f"--snr is {snr}, expected different finite numbers, in dB")
    if asked.by_noise and (len(asked.snr_db) != 1 or not asked.noise):
        found = f"--snr {snr}" if snr else "no --snr"
        raise UserError(f"--by-noise needs --noise DIR and one ratio, found {found}. Give e.g. --snr 10")
    if asked.by_noise and (asked.rooms or asked.microphones):
        raise UserError("--by-noise is for noise alone; leave --rooms and --microphones out")


def open_sounds(asked: Asked, split: str, rate_hz: int) -> Sounds:
    """Read or draw the noise, divided by `split` as for training whatever the seed, and the impulse responses.

    Raises UserError for folders that are absent or hold nothing fit, and where rooms need pyroomacoustics.
    """
    noises, rooms, microphones = None, {}, {}
    if asked.noise:
        noises = open_noises(Path(asked.noise).expanduser(), rate_hz, split, noisy_copies.SEED)
    if asked.microphones:
        microphones = impulse_responses.load_responses(Path(asked.microphones).expanduser(), rate_hz)
    if asked.rooms in DRAWN_ROOMS:
        for number, (name, seconds) in enumerate(REVERBERATION_SECONDS.items()):
            rng = np.random.default_rng([asked.seed, number])
            rooms[name] = DRAWN_ROOMS[asked.rooms](rng, rate_hz, (seconds, seconds))
    elif asked.rooms:
        folder = Path(asked.rooms).expanduser()
        if not folder.is_dir():
            raise UserError(
                f"--rooms {asked.rooms}: expected a folder of impulse responses or one of {', '.join(DRAWN_ROOMS)}, "
                "found neither. Check the path"
            )
        rooms = dict(impulse_responses.load_responses(folder, rate_hz))
    return Sounds(noises, rooms, microphones, rate_hz)


def subset(folds: Sequence[Fold], n_clips: int, seed: int) -> tuple[Fold, ...]:
    """Return folds with `n_clips` test clips in all, drawn by `seed`: of each speaker the same share, at least one.

    Raises UserError for fewer clips than speakers, and for more than there are.
    """
    by_speaker: dict[str, list[tuple[str, str]]] = {}
    for fold in folds:
        for clip in fold.test:
            by_speaker.setdefault(clip.speaker, []).append((fold.name, clip.name))
    n_all = sum(map(len, by_speaker.values()))
    if not len(by_speaker) <= n_clips <= n_all:
        expected = f"{len(by_speaker)} to {n_all}: from one test clip of each speaker to all of them"
        raise UserError(f"--clips is {n_clips}, expected {expected}. Leave it out for all")
    rng, shares = np.random.default_rng(seed), []
    for speaker, own in sorted(by_speaker.items()):
        shares += [(rank / len(own), speaker, own[index]) for rank, index in enumerate(rng.permutation(len(own)))]
    chosen = {clip for _, _, clip in sorted(shares)[:n_clips]}
    return tuple(
        replace(fold, test=tuple(clip for clip in fold.test if (fold.name, clip.name) in chosen)) for fold in folds
    )


def cases(asked: Asked, sounds: Sounds) -> Iterator[Case]:
    """Yield the clean case first, then noise, then each room, microphone and chain without noise and in it.

    With `by_noise`, each recording of the test side by itself follows.
    """
    responses = [{}, *({"room": name} for name in sounds.rooms), *({"microphone": name} for name in sounds.microphones)]
    if asked.chain:
        responses += [{"microphone": one, "room": room} for one in sounds.microphones for room in sounds.rooms]
    for names in responses:
        for snr_db in (None, *asked.ratios_db):
            yield Case(Condition(snr_db=snr_db, level=asked.level, **names))
    if asked.by_noise and sounds.noises:
        noisy = Condition(snr_db=asked.ratios_db[0], level=asked.level)
        yield from (Case(noisy, name) for name in sounds.noises.names[SIDE])


def alter(case: Case, sounds: Sounds, seed: int) -> Callable[[np.ndarray, str], np.ndarray] | None:
    """Return a function from (waveform, clip name) to the waveform in this case; None for the clean one."""
    if case == Case(Condition(level=case.condition.level)):
        return None
    noises = sounds.noises
    if noises and case.noise is not None:
        recording = noises.sides[SIDE][noises.names[SIDE].index(case.noise)]
        noises = replace(noises, sides={SIDE: (recording,)}, names={SIDE: (case.noise,)})
    return degrader(case.condition, noises, sounds.rooms, SIDE, seed, sounds.rate_hz, sounds.microphones)
