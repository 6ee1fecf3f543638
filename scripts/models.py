"""Run `ser models` from a checkout."""

from zoo.commands.start import start

if __name__ == "__main__":
    start("models")
