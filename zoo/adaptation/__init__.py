"""Adaptation to a speaker: of the network, of its probabilities, or of a head, from clips of that speaker."""
