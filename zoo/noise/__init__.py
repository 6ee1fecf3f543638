"""Noise and rooms: in training, in tests, and taken off by an autoencoder in front."""
