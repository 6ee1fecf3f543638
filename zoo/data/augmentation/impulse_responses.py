"""Read, simulate or draw impulse responses of rooms and microphones, and convolve speech with them.

A response is float32 (samples,) of unit energy with its direct path at sample 0, so that speech is not delayed.
"""

from pathlib import Path

import numpy as np
import scipy  # its parts are imported when used

from zoo.data.audio.find import audio_by_name
from zoo.data.audio.read import decode, to_mono
from zoo.errors import UserError
from zoo.utils import extras

Seconds = tuple[float, float]  # shortest, longest
REVERBERATION_SECONDS: Seconds = (0.2, 0.8)

_SMALLEST_ROOM_M, _LARGEST_ROOM_M = (3.0, 3.0, 2.4), (8.0, 6.0, 3.5)
_TO_WALL_M = 0.5
_TO_SPEAKER_M = (0.5, 2.0)
_COVERED = 0.75  # of the reverberation time, 45 dB of decay
_FIT_DB = (-5.0, -35.0)  # ISO 3382-1, T30
_STEPS_PER_SECOND = 2000  # of the decay by which the walls are chosen
_DIRECT_TO_REVERBERANT_DB = (0.0, 10.0)


def load_responses(folder: Path, rate_hz: int) -> dict[str, np.ndarray]:
    """Read every audio file below a folder as an impulse response, the first channel of several.

    Returns them by their paths below the folder, without suffix, sorted; samples before the largest are cut. Raises
    UserError without audio there, for a file that cannot be read or is silent, and for two of one name.
    """
    responses: dict[str, np.ndarray] = {}
    for name, path in audio_by_name(folder, "impulse responses").items():
        samples, file_rate_hz = decode(path, min_seconds=0)
        first = samples[:, :1]
        if not first.any():
            raise UserError(f"{path}: expected an impulse response, found a silent first channel. Remove the file")
        # Cut at the file's rate, so that the direct path is on a sample of the new rate and not between two. A second
        # of silence keeps it away from the beginning, where the resampler does not scale all rates alike.
        direct = int(np.abs(first).argmax())
        padded = np.concatenate([np.zeros((file_rate_hz, 1), np.float32), first[direct:]])
        stem = Path(name).with_suffix("").as_posix()
        if stem in responses:
            raise UserError(f"{path}: expected one response called {stem!r}, found two. Rename one of the files")
        responses[stem] = _aligned(to_mono(padded, file_rate_hz, rate_hz)[rate_hz:])
    return responses


def convolve(waveform: np.ndarray, response: np.ndarray) -> np.ndarray:
    """Convolve a waveform (samples,) with a response: float32 (samples,), of the same length and mean square.

    The first N of all N + K - 1 samples are kept. The peak may pass 1; silence stays silence.
    """
    if not waveform.any():
        return waveform.astype(np.float32)
    result = scipy.signal.oaconvolve(waveform.astype(np.float64), response.astype(np.float64), mode="full")[
        : len(waveform)
    ]
    return (result * np.sqrt(_energy(waveform) / _energy(result))).astype(np.float32)


def exponential(rng: np.random.Generator, rate_hz: int, seconds: Seconds = REVERBERATION_SECONDS) -> np.ndarray:
    """Draw a response without a room: a direct path, then white noise that decays by 60 dB in the reverberation time.

    Polack's model (1988). The reverberation time, uniform between the two given, is the response's length; the direct
    path's energy is 0 to 10 dB above the noise's.
    """
    decay_seconds = float(rng.uniform(*seconds))
    time = np.arange(round(decay_seconds * rate_hz)) / rate_hz
    response = rng.standard_normal(len(time)) * 10 ** (-3 * time / decay_seconds)
    direct_energy = np.square(response[1:]).sum() * 10 ** (rng.uniform(*_DIRECT_TO_REVERBERANT_DB) / 10)
    response[0] = np.sqrt(direct_energy)
    return _aligned(response)


def simulate(rng: np.random.Generator, rate_hz: int, seconds: Seconds = REVERBERATION_SECONDS) -> np.ndarray:
    """Draw a box-shaped room with a speaker and a microphone, and return the response between them.

    Image-source method (Allen and Berkley 1979) by pyroomacoustics. The reverberation time is uniform between the two
    given (0.15 to 1 s: shorter needs walls that reflect nothing, longer 6 s and 1.5 GB of memory). The walls'
    absorption is fitted to the decay of the images' energy from -5 to -35 dB: Sabine's formula, for diffuse sound,
    gives times up to half as long again. Raises UserError without the package.
    """
    extras.need("rooms", "the simulation of rooms", "take exponential ones")
    import pyroomacoustics as room_acoustics

    decay_seconds = float(rng.uniform(*seconds))
    size_m = rng.uniform(_SMALLEST_ROOM_M, _LARGEST_ROOM_M)
    places = _draw_places(rng, size_m)
    sound_m_per_second = room_acoustics.constants.get("c")
    # Images of an order lie on an octahedron; this one's holds the sphere that sound crosses in the time covered.
    order = int(np.ceil(_COVERED * decay_seconds * sound_m_per_second * np.sqrt((1 / size_m**2).sum())))
    n_threads = room_acoustics.constants.get("num_threads")

    def room_of(absorption: float):
        walls = room_acoustics.Material(absorption)
        room = room_acoustics.ShoeBox(size_m, fs=rate_hz, materials=walls, max_order=order)
        room.add_source(places[0])
        room.add_microphone(places[1])
        return room

    room_acoustics.constants.set("num_threads", 1)  # the last bits depend on it
    try:
        room = room_of(0.5)
        room.image_source_model()
        distances_m = np.linalg.norm(room.sources[0].images - places[1][:, None], axis=0)
        absorption = _absorption(distances_m / sound_m_per_second, room.sources[0].orders, decay_seconds)
        room = room_of(absorption)
        room.compute_rir()
    finally:
        room_acoustics.constants.set("num_threads", n_threads)
    return _aligned(np.asarray(room.rir[0][0]))


def _aligned(response: np.ndarray) -> np.ndarray:
    response = response[np.abs(response).argmax() :].astype(np.float64)
    return (response / np.sqrt(_energy(response))).astype(np.float32)


def _energy(waveform: np.ndarray) -> float:
    return float(np.square(waveform, dtype=np.float64).sum())


def _draw_places(rng: np.random.Generator, size_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Draw the positions of speaker and microphone, away from the walls and from each other."""
    while True:  # the smallest room accepts one draw in two
        speaker, microphone = rng.uniform(_TO_WALL_M, size_m - _TO_WALL_M, (2, 3))
        if _TO_SPEAKER_M[0] <= np.linalg.norm(speaker - microphone) <= _TO_SPEAKER_M[1]:
            return speaker, microphone


def _absorption(delays: np.ndarray, orders: np.ndarray, seconds: float) -> float:
    """Return the share of energy that walls must absorb for images to decay by 60 dB in `seconds`.

    `delays` are in seconds, `orders` the number of reflections; both (images,).
    """
    steps = ((delays - delays.min()) * _STEPS_PER_SECOND).astype(int)

    def excess(absorption: float) -> float:
        return _decay_seconds(np.bincount(steps, (1 - absorption) ** orders / delays**2)) - seconds

    return float(scipy.optimize.brentq(excess, 0.02, 0.95, xtol=1e-3))


def _decay_seconds(energy: np.ndarray) -> float:
    """Return the reverberation time of a decay given in steps, by backward integration (Schroeder 1965)."""
    left = np.cumsum(energy[::-1])[::-1]
    left_db = 10 * np.log10(left / left[0])
    fitted = np.flatnonzero((left_db <= _FIT_DB[0]) & (left_db >= _FIT_DB[1]))
    return float(-60 / np.polyfit(fitted / _STEPS_PER_SECOND, left_db[fitted], 1)[0])
