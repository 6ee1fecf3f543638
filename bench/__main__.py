"""Run the measurements: python -m bench."""

from zoo.utils.cli import run  # isort: skip  # first: it takes Ctrl-C

from bench.run import main

if __name__ == "__main__":
    run(main)
