"""A plugin of dask's scheduler: the loss of a worker is told to the run at once.

On its own, dask runs a task again in silence, several times. The run counts losses itself, says each in a line, and
gives up a task that has lost several workers.
"""

from __future__ import annotations

from typing import Any

from distributed.diagnostics.plugin import SchedulerPlugin


class TellLosses(SchedulerPlugin):
    """Makes dask give up the tasks of one client with the first worker that is lost on them.

    Args:
        client: Identifier of the client. The tasks of others on the same scheduler are left alone.
    """

    def __init__(self, client: str) -> None:
        self.client = client
        self.name = f"mpobench-losses-{client}"

    def update_graph(self, scheduler: Any, *, client: str, tasks: list[Any], **kwargs: Any) -> None:
        """Marks new tasks as if they had used up the losses that dask allows."""
        if client == self.client:
            for key in tasks:
                scheduler.tasks[key].suspicious = scheduler.allowed_failures

    def remove_client(self, scheduler: Any, client: str) -> None:
        """Goes with its client."""
        if client == self.client:
            scheduler.remove_plugin(self.name)
