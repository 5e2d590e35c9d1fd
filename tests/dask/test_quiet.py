"""What dask may log in the process of a run."""

from __future__ import annotations

import subprocess
import sys

LATE_MESSAGE = """
import asyncio
from mpobench_dask import quiet
quiet.configure()
from distributed import Client, Scheduler
quiet.set_levels()

async def main():
    async with Scheduler(host="127.0.0.1", port=0, dashboard=False, dashboard_address="127.0.0.1:0") as scheduler:
        async with Client(scheduler.address, asynchronous=True) as client:
            scheduler.client_comms[client.id].abort()
            scheduler.send_all({client.id: [{"op": "event"}]}, {})
            scheduler.report({"op": "event"}, client=client.id)
    print("done")

asyncio.run(main())
"""


def test_a_message_to_a_client_that_has_gone_is_not_logged() -> None:
    done = subprocess.run([sys.executable, "-c", LATE_MESSAGE], check=False, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("done\n", "")
