"""Direction rules: frozen values that turn gradients into directions to go along."""

from .averaging import AverageGradient as AverageGradient
from .base import BoundDirection as BoundDirection
from .base import Direction as Direction
from .base import Gradient as Gradient
from .momentum import MomentumGradient as MomentumGradient
from .nesterov import Nesterov as Nesterov
from .preconditioned import PreconditionedDirection as PreconditionedDirection
