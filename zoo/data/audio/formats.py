"""Name the audio formats that can be read, and those that cannot; tell by a file's first bytes which it is."""

import re
from collections.abc import Callable

from zoo.data.audio.frame_lengths import FRAMES

AUDIO_SUFFIXES = (".wav", ".flac")  # of corpora
_READABLE = ".wav .wave .bwf .rf64 .flac .ogg .oga .opus .mp3 .mp2 .aif .aiff .aifc .au .snd .caf .w64 .sph .nist"
_OTHERS = (
    ".m4a .m4b .m4p .m4r .m4v .mp4 .mp4a .mov .qt .3gp .3gpp .3g2 .aac .adts .loas .latm .ac3 .eac3 .ec3 .dts "
    ".amr .awb .evs .silk .slk .qcp .webm .weba .mkv .mka .wma .asf .wmv .avi .mpg .mpeg .mpga .mpa .mp1 .mts "
    ".m2ts .vob .flv .f4a .f4v .ogv .ogx .ogm .spx .ra .rm .ram .rmvb .ape .wv .mpc .mpp .tta .tak .ofr .shn "
    ".alac .la .dsf .dff .dss .ds2 .dvf .msv .oma .at3 .aa .aax .voc .gsm .vox .ircam .sf .avr .paf .pvf .svx "
    ".8svx .iff .xi .wve .sd2 .sds .htk .pcm .raw .s16 .s16le .f32 .f32le .ul .ulaw .al .alaw .g722 .g726 .g729"
)
READABLE_SUFFIXES = tuple(_READABLE.split())
# Of recordings that are not read: in a folder, files of these names are refused by name, not left out.
OTHER_SUFFIXES = tuple(_OTHERS.split())
READABLE_NAMES = ("WAV", "FLAC", "OGG", "MP3", "AIFF", "AU", "CAF", "Wave64", "NIST Sphere")
READABLE = f"{', '.join(READABLE_NAMES[:-1])} or {READABLE_NAMES[-1]}"

# Of libsndfile, which reads more, but hides where those are cut.
FORMATS = ("WAV", "WAVEX", "RF64", "FLAC", "OGG", "MP3", "AIFF", "AU", "CAF", "W64", "NIST")

NO_SOUND = ("MIDI", "WebP", "gzip", "ZIP")  # of those below
HEAD_BYTES = 16_384  # of a file or stream: in these, formats of frames show enough of them
_LATE_BYTES = 4_096  # a stream that begins within a frame: where its first whole one may begin
_FRAMES_AT_ONCE, _LATE_FRAMES = 3, 4  # that must follow each other

# How a content begins. In RIFF and FORM, its kind is at byte 8.
_BEGINNINGS = {
    "WAV": rb"(RIFF|RIFX|RF64|BW64)(?!.{4}(AVI |QLCM|RMID|WEBP))",
    "AIFF": rb"FORM(?!.{4}(8SVX|16SV))",
    "AU": rb"\.snd|dns\.",
    "CAF": rb"caff",
    "Wave64": rb"riff\x2e\x91\xcf\x11",
    "NIST Sphere": rb"NIST_1A",
    "FLAC": rb"fLaC",
    "OGG": rb"OggS",
    "MPEG-4 (m4a, mp4, mov, 3gp)": rb".{4}(ftyp|styp|moov|moof|mdat|wide|pnot|sidx)",
    "WebM or Matroska": rb"\x1a\x45\xdf\xa3",
    "AMR": rb"#!AMR",
    "Windows Media (wma, asf)": rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11",
    "AAC": rb"ADIF",
    "SILK": rb"\x02?#!SILK",
    "EVS": rb"#!EVS",
    "iLBC": rb"#!iLBC",
    "MIDI": rb"MThd|RIFF.{4}RMID",
    "MIDI sample dump": rb"\xf0\x7e.\x01",
    "AVI": rb"RIFF.{4}AVI ",
    "QCELP": rb"RIFF.{4}QLCM",
    "WebP": rb"RIFF.{4}WEBP",
    "Flash Video": rb"FLV\x01",
    "MPEG video": rb"\x00\x00\x01[\xba\xb3]",
    "RealAudio": rb"\.RMF|\.ra\xfd",
    "WavPack": rb"wvpk",
    "Monkey's Audio": rb"MAC[ F]",
    "Musepack": rb"MPCK|MP\+",
    "True Audio": rb"TTA[12]",
    "OptimFROG": rb"OFR ",
    "Shorten": rb"ajkg",
    "DSD": rb"DSD |FRM8",
    "DTS": rb"\x7f\xfe\x80\x01|\xfe\x7f\x01\x80",
    "Digital Speech Standard": rb"[\x02\x03\x06]ds[s2]",
    "Amiga IFF": rb"FORM.{4}(8SVX|16SV)",
    "AVR": rb"2BIT",
    "PVF": rb"PVF1",
    "PAF": rb" paf|fap ",
    "IRCAM": rb"\x64\xa3[\x01-\x04]\x00|\x00[\x01-\x04]\xa3\x64",
    "VOC": rb"Creative Voice File",
    "XI": rb"Extended Instrument: ",
    "WVE": rb"ALawSoundFile",
    "MATLAB": rb"MATLAB 5|.{20}samplerate\x00",
    "Akai MPC 2000": rb"\x01\x04[ -~]{16}",
    "HTK": rb"\x00.{3}\x00\x00(\x00[\x32-\xff]|[\x01-\x09].)\x00\x02\x00\x00",  # 100 ns per sample, 2 bytes, waveform
    "gzip": rb"\x1f\x8b\x08",
    "ZIP": rb"PK\x03\x04",
}
_KNOWN = {name: re.compile(beginning, re.DOTALL) for name, beginning in _BEGINNINGS.items()}


def container_of(head: bytes) -> str | None:
    """Name the container or compressed format of a content that begins with `head`; None where none is known.

    `head` should be the first `HEAD_BYTES` bytes, or all if they are fewer: MP3, AAC and AC-3 have no header, and are
    known by frames that follow each other, also where a stream begins within one. Samples without a header are None.
    """
    name = next((name for name, known in _KNOWN.items() if known.match(head)), None)
    if name is None and head.startswith(b"ID3"):
        size = sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=False))
        return container_of(head[10 + size :]) or "MP3"
    if name is not None:
        return name
    late = (at for at in range(1, min(len(head), _LATE_BYTES)) if head[at] in (0xFF, 0x0B, 0x56, 0x47))
    for kind, length_of in FRAMES.items():
        if _frames(head, 0, length_of, _FRAMES_AT_ONCE):
            return kind
    return next((kind for at in late for kind, of in FRAMES.items() if _frames(head, at, of, _LATE_FRAMES)), None)


def is_foreign(container: str) -> bool:
    """Return whether a container is none that can be read, but holds sound, so that it can be converted."""
    return container not in (*READABLE_NAMES, *NO_SOUND)


def _frames(head: bytes, at: int, length_of: Callable[[bytes], int], count: int) -> bool:
    """Return whether `count` frames, at least two, begin one behind the other.

    Nor is it a steady tone as PCM: there, what looks like a frame's first bytes comes again within each period, or the
    first two frames are equal without being silence.
    """
    starts = [at]
    for _ in range(count):
        length = length_of(head[at : at + 6]) if at + 6 <= len(head) else 0
        if not length or head.find(head[at : at + 4], at + 1, at + length) >= 0:
            return False
        at += length
        starts.append(at)
    first, second = head[starts[0] : starts[1]], head[starts[1] : starts[2]]
    return first != second or len(set(first[8:])) < 3
