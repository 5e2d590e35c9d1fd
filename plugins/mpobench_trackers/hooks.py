"""The trackers that this plugin offers."""

from __future__ import annotations

from collections.abc import Iterable

from mpobench import TrackerCard, hookimpl


@hookimpl
def mpobench_trackers() -> Iterable[TrackerCard]:
    """Programs in which people look at trainings."""
    yield TrackerCard(
        name="tensorboard",
        summary="Event files for TensorBoard, one run a cell",
        target="mpobench_trackers.tensorboard:TensorBoard",
        positional="folder",
    )
    yield TrackerCard(
        name="wandb",
        summary="Runs of Weights & Biases, on its server or offline, one a cell",
        target="mpobench_trackers.weights_and_biases:WeightsAndBiases",
        positional="project",
    )
    yield TrackerCard(
        name="mlflow",
        summary="Runs of MLflow, on its server or in a database file, one a cell",
        target="mpobench_trackers.mlflow_runs:Mlflow",
        positional="experiment",
    )
