"""Run the measurements: python -m bench."""

from bench.run import main
from zoo.utils.cli import run

if __name__ == "__main__":
    run(main)
