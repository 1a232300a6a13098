"""A scheduler that runs each task in a fork of itself, as Airflow does. Arguments: address, tokens.

It imports the client, uses one for a moment, and forks from its only thread. Each task makes a
client of its own, and waits until people have decided. One leaves its client open.
"""

import json
import multiprocessing
import sys
import threading
from contextlib import nullcontext

from placet import require, sync

TASKS = {"closes": True, "leaves open": False}


def task(name: str, url: str, tokens: dict[str, str]) -> None:
    """Start an execution, ask, and tell what was decided."""
    client = sync.Client(url, tokens["operator"])
    with client if TASKS[name] else nullcontext():
        started = client.start("payment", {"task": name})
        assert started.execution is not None
        with sync.Client(url, tokens["engine"]) as asks:
            asked = asks.request_approval(
                started.execution.id,
                "pay",
                f"Pay for {name}",
                payload={"task": name},
                policy=require(1, group="finance"),
            )
            assert asked.approval is not None
            tell(task=name, approval=asked.approval.id)
            status = client.wait_for(asked.approval).status
            asks.complete(started.execution.id, status)
        tell(task=name, result=client.wait(started.execution.id).result)


def tell(**what: object) -> None:
    """Say how far it is."""
    # In one piece, since all tasks write to the same pipe.
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Run all tasks at the same time, and tell how each process ended."""
    url, tokens = sys.argv[1], json.loads(sys.argv[2])
    with sync.Client(url, tokens["operator"]) as client:
        client.viewer()
    assert threading.active_count() == 1, threading.enumerate()
    fork = multiprocessing.get_context("fork")
    processes = {
        name: fork.Process(target=task, args=(name, url, tokens), name=name) for name in TASKS
    }
    for process in processes.values():
        process.start()
    for name, process in processes.items():
        process.join()
        tell(task=name, code=process.exitcode)


if __name__ == "__main__":
    main()
