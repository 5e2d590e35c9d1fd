"""Protocols of the six kinds of component: each class says what a plugin promises, and what it may rely on."""

from mpobench.protocols.component import Component, JsonObject, Scale
from mpobench.protocols.corruption import CLEAN, ORIGINAL, TARGET, DatasetCorruption
from mpobench.protocols.env import Env
from mpobench.protocols.evaluator import NORMALISED_SCORE, Evaluator, Metric
from mpobench.protocols.group_training import GroupTraining
from mpobench.protocols.launcher import Launcher, WorkerLostError, Workers
from mpobench.protocols.objective import Objective, Origin
from mpobench.protocols.preferences import Array, PreferenceBatch, SequenceLogps
from mpobench.protocols.report import Begun, Listener, Note, Progress, Report
from mpobench.protocols.requests import DatasetRequest, Trained, TrainingRequest
from mpobench.protocols.search_range import SearchChoices, Searched, SearchRange, searched
from mpobench.protocols.searchable import HasNetworks, LearnableFunction, Searchable
from mpobench.protocols.tensors import Tensors
from mpobench.protocols.tracker import Track, TrackedCell, Tracker
from mpobench.protocols.workspace import Prerequisite, Sample, Workspace

__all__ = [
    "CLEAN",
    "NORMALISED_SCORE",
    "ORIGINAL",
    "TARGET",
    "Array",
    "Begun",
    "Component",
    "DatasetCorruption",
    "DatasetRequest",
    "Env",
    "Evaluator",
    "GroupTraining",
    "HasNetworks",
    "JsonObject",
    "Launcher",
    "LearnableFunction",
    "Listener",
    "Metric",
    "Note",
    "Objective",
    "Origin",
    "PreferenceBatch",
    "Prerequisite",
    "Progress",
    "Report",
    "Sample",
    "Scale",
    "SearchChoices",
    "SearchRange",
    "Searchable",
    "Searched",
    "SequenceLogps",
    "Tensors",
    "Track",
    "TrackedCell",
    "Tracker",
    "Trained",
    "TrainingRequest",
    "WorkerLostError",
    "Workers",
    "Workspace",
    "searched",
]
