"""Read the length of a frame of MP3, AAC, AC-3 or an MPEG transport stream from its first six bytes; 0 for none."""

_MP3_KBPS = {  # by MPEG-1 or not, and layer (ISO/IEC 11172-3, 2.4.2.3; 13818-3, 2.4.2.3)
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_AC3_KBPS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)


def mp3_frame(begin: bytes) -> int:
    version, layer = begin[1] >> 3 & 3, 4 - (begin[1] >> 1 & 3)  # 3 is MPEG-1, 2 MPEG-2, 0 MPEG-2.5
    kbps, rate = begin[2] >> 4, begin[2] >> 2 & 3
    if begin[0] != 0xFF or begin[1] < 0xE0 or version == 1 or layer not in (2, 3) or kbps in (0, 15) or rate == 3:
        return 0
    rate_hz = (44_100, 48_000, 32_000)[rate] // {3: 1, 2: 2, 0: 4}[version]
    per_second = 72_000 if layer == 3 and version != 3 else 144_000
    return per_second * _MP3_KBPS[version == 3, layer][kbps - 1] // rate_hz + (begin[2] >> 1 & 1)


def adts_frame(begin: bytes) -> int:
    if begin[0] != 0xFF or begin[1] & 0xF6 != 0xF0 or begin[2] >> 2 & 15 > 12:
        return 0
    length = (begin[3] & 3) << 11 | begin[4] << 3 | begin[5] >> 5
    return length if length > 7 else 0


def latm_frame(begin: bytes) -> int:
    return ((begin[1] & 0x1F) << 8 | begin[2]) + 3 if begin[0] == 0x56 and begin[1] & 0xE0 == 0xE0 else 0


def ac3_frame(begin: bytes) -> int:
    if begin[:2] != b"\x0b\x77":
        return 0
    if begin[5] >> 3 > 10:  # E-AC-3
        return 2 * (((begin[2] & 7) << 8 | begin[3]) + 1)
    rate, size = begin[4] >> 6, begin[4] & 63
    if rate == 3 or size > 37:
        return 0
    kbps = _AC3_KBPS[size // 2]
    return (4 * kbps, 2 * (320 * kbps // 147 + size % 2), 6 * kbps)[rate]


def transport_packet(begin: bytes) -> int:
    return 188 if begin[0] == 0x47 and not begin[1] & 0x80 and begin[3] & 0x30 else 0


FRAMES = {
    "MP3": mp3_frame,
    "AAC": adts_frame,
    "AAC (LATM)": latm_frame,
    "AC-3": ac3_frame,
    "MPEG video": transport_packet,
}
