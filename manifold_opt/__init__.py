"""Optimization and nonlinear least squares on manifolds, for people who use NumPy and SciPy.

The five ideas: a `Manifold` is where the unknown lives, an objective what is minimized there, a `Problem` both
together, a state all that changes while a solver runs, and `solve` the loop that steps a state until its stopping
criterion fires. Front functions such as `gradient_descent` and `levenberg_marquardt` set all of it up and return a
`Result`.
"""

from __future__ import annotations

from .core import Problem, Result, SolverState, Status, solve
from .manifolds import (
    Euclidean,
    Manifold,
    MissingOperation,
    NotOnManifold,
    NotTangent,
    Sphere,
)
from .objectives import (
    CachedObjective,
    CostObjective,
    CountedObjective,
    Fused,
    InPlace,
    NonlinearLeastSquaresObjective,
    ScaledObjective,
)
from .stopping import (
    StopAfter,
    StopAfterEvaluations,
    StopAfterIteration,
    StoppingCriterion,
    StopWhenChangeLess,
    StopWhenCostChangeLess,
    StopWhenCostLess,
    StopWhenCostNaN,
    StopWhenEntryChangeLess,
    StopWhenGradientChangeLess,
    StopWhenGradientNormLess,
    StopWhenIterateNaN,
    StopWhenRelativeCostChangeLess,
    StopWhenRelativeGradientNormLess,
    StopWhenRelativeOffsetLess,
    StopWhenSmallerOrEqual,
    StopWhenStepNormLess,
    StopWhenStepsizeLess,
)

__version__ = "0.1.0.dev0"

__all__ = [
    "CachedObjective",
    "CostObjective",
    "CountedObjective",
    "Euclidean",
    "Fused",
    "InPlace",
    "Manifold",
    "MissingOperation",
    "NonlinearLeastSquaresObjective",
    "NotOnManifold",
    "NotTangent",
    "Problem",
    "Result",
    "ScaledObjective",
    "SolverState",
    "Sphere",
    "Status",
    "StopAfter",
    "StopAfterEvaluations",
    "StopAfterIteration",
    "StopWhenChangeLess",
    "StopWhenCostChangeLess",
    "StopWhenCostLess",
    "StopWhenCostNaN",
    "StopWhenEntryChangeLess",
    "StopWhenGradientChangeLess",
    "StopWhenGradientNormLess",
    "StopWhenIterateNaN",
    "StopWhenRelativeCostChangeLess",
    "StopWhenRelativeGradientNormLess",
    "StopWhenRelativeOffsetLess",
    "StopWhenSmallerOrEqual",
    "StopWhenStepNormLess",
    "StopWhenStepsizeLess",
    "StoppingCriterion",
    "solve",
]
