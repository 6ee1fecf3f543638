"""A real Ray cluster of several nodes on this machine."""

import os
import sys
from pathlib import Path

import pytest

HELPERS = Path(__file__).parent


def two_nodes():
    """Yield a head without cores and two nodes of one core, which listen on loopback alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(HELPERS), str(HELPERS.parents[1]), *sys.path]))
        patch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", "0123456789abcdef0123456789abcdef")
        pytest.importorskip("ray", reason="Ray is not installed: pip install -e '.[ray]'")
        from ray.cluster_utils import Cluster

        found = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        for _ in range(2):
            found.add_node(num_cpus=1)
        yield found
        found.shutdown()
