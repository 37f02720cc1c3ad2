"""Watching a solver: states that wrap a state and print, record, call back or save on the way."""

from .alarms import (
    IfEntry,
    SolverWarning,
    WarnIfCostIncreases,
    WarnIfCostNotFinite,
    WarnIfFieldIncreases,
    WarnIfFieldNotFinite,
    WarnIfGradientNormTooLarge,
    WarnIfGradientNotFinite,
    WarnIfStepsizeCollapsed,
    WarnMessages,
)
from .archive import CheckpointError
from .base import StateDecorator, unwrap
from .callback import CallbackState
from .checkpoint import Checkpoint, CheckpointState
from .debug import DebugState
from .decorate import decorate
from .lines import At, EntryChange, Every
from .progress import ProgressState
from .quantities import QUANTITIES, Quantity, UnknownQuantity, quantity_table
from .record import RecordState, recorded

__all__ = [
    "QUANTITIES",
    "At",
    "CallbackState",
    "Checkpoint",
    "CheckpointError",
    "CheckpointState",
    "DebugState",
    "EntryChange",
    "Every",
    "IfEntry",
    "ProgressState",
    "Quantity",
    "RecordState",
    "SolverWarning",
    "StateDecorator",
    "UnknownQuantity",
    "WarnIfCostIncreases",
    "WarnIfCostNotFinite",
    "WarnIfFieldIncreases",
    "WarnIfFieldNotFinite",
    "WarnIfGradientNormTooLarge",
    "WarnIfGradientNotFinite",
    "WarnIfStepsizeCollapsed",
    "WarnMessages",
    "decorate",
    "quantity_table",
    "recorded",
    "unwrap",
]
