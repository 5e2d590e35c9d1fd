"""From a plan to results: a scheduler, the tasks of workers, and the local launcher."""
