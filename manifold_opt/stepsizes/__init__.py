"""Step-size rules: frozen values that decide how far to go along a direction."""

from .adaptive_wn import AdaptiveWNGradient as AdaptiveWNGradient
from .armijo import ArmijoLinesearch as ArmijoLinesearch
from .base import BoundStepSize as BoundStepSize
from .base import StepSize as StepSize
from .constant import ConstantLength as ConstantLength
from .constant import DecreasingLength as DecreasingLength
from .cubic_bracketing import CubicBracketingLinesearch as CubicBracketingLinesearch
from .decaying import DecayingLength as DecayingLength
from .distance_over_gradients import DistanceOverGradients as DistanceOverGradients
from .hager_zhang import HagerZhangLinesearch as HagerZhangLinesearch
from .initial_guesses import BarzilaiBorweinGuess as BarzilaiBorweinGuess
from .initial_guesses import ConstantGuess as ConstantGuess
from .initial_guesses import HagerZhangGuess as HagerZhangGuess
from .initial_guesses import InitialGuess as InitialGuess
from .initial_guesses import LastStepGuess as LastStepGuess
from .line import LineSearch as LineSearch
from .nonmonotone import NonmonotoneLinesearch as NonmonotoneLinesearch
from .polyak import Polyak as Polyak
from .strong_wolfe import StrongWolfeLinesearch as StrongWolfeLinesearch
from .wolfe_powell import WolfePowellBinaryLinesearch as WolfePowellBinaryLinesearch
from .wolfe_powell import WolfePowellLinesearch as WolfePowellLinesearch
