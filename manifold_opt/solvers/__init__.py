"""One algorithm a file: method, state, front function."""

from .damping import AdachiOkunoTakeda as AdachiOkunoTakeda
from .damping import Damping as Damping
from .damping import FixedDamping as FixedDamping
from .damping import Nielsen as Nielsen
from .gradient_descent import GradientDescentState as GradientDescentState
from .gradient_descent import gradient_descent as gradient_descent
from .levenberg_marquardt import LevenbergMarquardtState as LevenbergMarquardtState
from .levenberg_marquardt import levenberg_marquardt as levenberg_marquardt
from .minimize_residuals import minimize_residuals as minimize_residuals
