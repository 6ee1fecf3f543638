"""Corpora as researchers have them on disk, and the way from there to batches."""
