"""Run `ser convert-weights` from a checkout."""

from zoo.commands.start import start

if __name__ == "__main__":
    start("convert-weights")
