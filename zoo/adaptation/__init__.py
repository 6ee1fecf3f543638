"""Adapt a network, its probabilities or a head to a speaker, from clips of that speaker."""
