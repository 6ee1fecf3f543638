"""Speech-emotion networks from the literature in Keras 3: one registry, one pipeline, one way to measure."""

__version__ = "0.1.0"
