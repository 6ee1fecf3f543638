"""Baselines: acoustic and deep-spectrum features in front of linear models."""
