"""The one table of what each criterion means for the outcome of a run."""

from __future__ import annotations

from ..core.status import Status

MEANING: dict[str, Status] = {
    "StopAfterIteration": Status.ITERATION_LIMIT,
    "StopAfterEvaluations": Status.EVALUATION_LIMIT,
    "StopAfter": Status.TIME_LIMIT,
    "StopWhenGradientNormLess": Status.CONVERGED,
    "StopWhenRelativeGradientNormLess": Status.CONVERGED,
    "StopWhenChangeLess": Status.CONVERGED,
    "StopWhenCostLess": Status.TARGET_REACHED,
    "StopWhenSmallerOrEqual": Status.TARGET_REACHED,
    # Small differences show that little happens, not that a solution is near.
    "StopWhenCostChangeLess": Status.STALLED,
    "StopWhenRelativeCostChangeLess": Status.STALLED,
    "StopWhenGradientChangeLess": Status.STALLED,
    "StopWhenEntryChangeLess": Status.STALLED,
    "StopWhenStepsizeLess": Status.STALLED,
    "StopWhenStepNormLess": Status.STALLED,
    "StopWhenCostNaN": Status.BAD_FUNCTION,
    "StopWhenIterateNaN": Status.BAD_FUNCTION,
}
"""Name of a criterion -> `Status` of a run that it ends; `Status.converged` says which of these mean convergence."""
