"""A Ray cluster of two nodes on this machine, in a process that does nothing else.

It prints its address, kills the second node when it is sent a line, says so, and ends with its input.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Start, wait to be told to strike, wait to be told to end."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    try:
        node = cluster.add_node(num_cpus=2)
        print(cluster.address, flush=True)
        if sys.stdin.readline():
            cluster.remove_node(node, allow_graceful=False)
            print("struck", flush=True)
            sys.stdin.readline()
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    main()
