"""Name the audio formats that can be read, and those that cannot."""

AUDIO_SUFFIXES = (".wav", ".flac")  # of corpora
READABLE_SUFFIXES = (*AUDIO_SUFFIXES, ".ogg", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".caf", ".w64", ".sph", ".nist")
READABLE = "WAV, FLAC, OGG, MP3, AIFF, AU, CAF, Wave64 or NIST Sphere"

# Of libsndfile, which reads more, but hides where those are cut.
FORMATS = ("WAV", "WAVEX", "RF64", "FLAC", "OGG", "MP3", "AIFF", "AU", "CAF", "W64", "NIST")
