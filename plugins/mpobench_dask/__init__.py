"""Runs on dask: worker processes of this machine, of a scheduler that runs already, or of Slurm jobs."""
