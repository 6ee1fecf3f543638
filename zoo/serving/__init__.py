"""Exported models: loading, checks before loading, numbered versions; without Keras."""
