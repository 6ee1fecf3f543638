"""Tell whoever starts a worker by hand, as earlier versions needed it, what replaced that."""

from zoo.utils.cli import run  # isort: skip  # first: it takes Ctrl-C

from zoo.errors import UserError


def main() -> None:
    raise UserError(
        "workers are no longer started by hand: tune.py --workers N starts them on this machine, and tune.py --ray "
        "ADDRESS gives trials to the nodes of a Ray cluster (docs/cluster.md)"
    )


if __name__ == "__main__":
    run(main)
