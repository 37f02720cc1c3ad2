"""Step-size rules: frozen values that decide how far to go along a direction."""

from .armijo import ArmijoLinesearch as ArmijoLinesearch
from .base import BoundStepSize as BoundStepSize
from .base import StepSize as StepSize
from .constant import ConstantLength as ConstantLength
from .constant import DecreasingLength as DecreasingLength
