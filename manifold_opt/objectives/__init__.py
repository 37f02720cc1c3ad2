"""What is minimized: objectives, their evaluations, and markers for user functions."""

from .base import Objective as Objective
from .cost import CostEvaluation as CostEvaluation
from .cost import CostFunctions as CostFunctions
from .cost import CostObjective as CostObjective
from .evaluation import Counts as Counts
from .evaluation import Evaluation as Evaluation
from .evaluation import watched as watched
from .least_squares import LeastSquaresEvaluation as LeastSquaresEvaluation
from .least_squares import LeastSquaresFunctions as LeastSquaresFunctions
from .least_squares import NonlinearLeastSquaresObjective as NonlinearLeastSquaresObjective
from .user_functions import Fused as Fused
from .user_functions import InPlace as InPlace
from .wrappers import CachedObjective as CachedObjective
from .wrappers import CountedObjective as CountedObjective
from .wrappers import ScaledObjective as ScaledObjective
