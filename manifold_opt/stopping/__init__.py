"""When a solver stops: criteria are frozen values that compose, bound to a run by its state."""

from .changes import (
    AcceptedStepCriterion,
    StopWhenChangeLess,
    StopWhenCostChangeLess,
    StopWhenEntryChangeLess,
    StopWhenGradientChangeLess,
    StopWhenRelativeCostChangeLess,
    StopWhenStepNormLess,
    StopWhenStepsizeLess,
)
from .combine import StopWhenAll, StopWhenAny, StopWhenIteration, StopWhenRepeated
from .criterion import Bound, StoppingCriterion
from .edit import edit
from .least_squares import (
    StopWhenDecreaseUnresolvable,
    StopWhenRelativeOffsetLess,
    StopWhenResidualAtRounding,
)
from .limits import StopAfter, StopAfterEvaluations, StopAfterIteration
from .meaning import MEANING
from .values import (
    StopWhenCostLess,
    StopWhenCostNaN,
    StopWhenGradientNormLess,
    StopWhenIterateNaN,
    StopWhenRelativeGradientNormLess,
    StopWhenSmallerOrEqual,
)

__all__ = [
    "MEANING",
    "AcceptedStepCriterion",
    "Bound",
    "StopAfter",
    "StopAfterEvaluations",
    "StopAfterIteration",
    "StopWhenAll",
    "StopWhenAny",
    "StopWhenChangeLess",
    "StopWhenCostChangeLess",
    "StopWhenCostLess",
    "StopWhenCostNaN",
    "StopWhenDecreaseUnresolvable",
    "StopWhenEntryChangeLess",
    "StopWhenGradientChangeLess",
    "StopWhenGradientNormLess",
    "StopWhenIterateNaN",
    "StopWhenIteration",
    "StopWhenRelativeCostChangeLess",
    "StopWhenRelativeGradientNormLess",
    "StopWhenRelativeOffsetLess",
    "StopWhenRepeated",
    "StopWhenResidualAtRounding",
    "StopWhenSmallerOrEqual",
    "StopWhenStepNormLess",
    "StopWhenStepsizeLess",
    "StoppingCriterion",
    "edit",
]
