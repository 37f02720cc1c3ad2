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
from .fits import (
    ConvergenceTest,
    GradientTest,
    SolutionTest,
    StopWhenDecreaseLess,
    StopWhenOptimalityLess,
    StopWhenTrialStepLess,
    ValueTest,
)
from .least_squares import (
    StopWhenDecreaseUnresolvable,
    StopWhenRelativeOffsetLess,
    StopWhenResidualAtRounding,
)
from .limits import StopAfter, StopAfterEvaluations, StopAfterIteration
from .meaning import MEANING
from .models import (
    StopAfterDimension,
    StopWhenCurvatureIsNegative,
    StopWhenFirstOrderProgress,
    StopWhenModelIncreased,
    StopWhenNoNegativeCurvature,
    StopWhenRelativeResidualLess,
    StopWhenResidualIsReducedByFactorOrPower,
    StopWhenTrustRegionIsExceeded,
)
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
    "ConvergenceTest",
    "GradientTest",
    "SolutionTest",
    "StopAfter",
    "StopAfterDimension",
    "StopAfterEvaluations",
    "StopAfterIteration",
    "StopWhenAll",
    "StopWhenAny",
    "StopWhenChangeLess",
    "StopWhenCostChangeLess",
    "StopWhenCostLess",
    "StopWhenCostNaN",
    "StopWhenCurvatureIsNegative",
    "StopWhenDecreaseLess",
    "StopWhenDecreaseUnresolvable",
    "StopWhenEntryChangeLess",
    "StopWhenFirstOrderProgress",
    "StopWhenGradientChangeLess",
    "StopWhenGradientNormLess",
    "StopWhenIterateNaN",
    "StopWhenIteration",
    "StopWhenModelIncreased",
    "StopWhenNoNegativeCurvature",
    "StopWhenOptimalityLess",
    "StopWhenRelativeCostChangeLess",
    "StopWhenRelativeGradientNormLess",
    "StopWhenRelativeOffsetLess",
    "StopWhenRelativeResidualLess",
    "StopWhenRepeated",
    "StopWhenResidualAtRounding",
    "StopWhenResidualIsReducedByFactorOrPower",
    "StopWhenSmallerOrEqual",
    "StopWhenStepNormLess",
    "StopWhenStepsizeLess",
    "StopWhenTrialStepLess",
    "StopWhenTrustRegionIsExceeded",
    "StoppingCriterion",
    "ValueTest",
    "edit",
]
