"""The commands of `ser` and of scripts/, a module each."""
