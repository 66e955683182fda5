"""A Ray cluster of two nodes on this machine, in a process that does nothing else.

It prints the cluster's address. When it reads a line, it kills the second node and prints a confirmation. It ends at
the next line, or when its input closes.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Start the cluster, kill the second node at the first input line, and shut down at the next."""
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
