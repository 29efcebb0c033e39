"""A cluster of Dask's own that adapts, as a process: each line says how few and how many workers.

``python -m tests.plugins.dask.adapting PORT``
"""

import sys

from distributed import LocalCluster


def main() -> None:
    """Adapt as told, until there is nothing more to hear."""
    with LocalCluster(
        n_workers=0,
        threads_per_worker=1,
        host="127.0.0.1",
        scheduler_port=int(sys.argv[1]),
        dashboard_address=None,
    ) as cluster:
        for line in sys.stdin:
            fewest, most = map(int, line.split())
            cluster.adapt(minimum=fewest, maximum=most, interval="200ms", wait_count=1)


if __name__ == "__main__":
    main()
