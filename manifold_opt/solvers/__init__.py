"""One algorithm a file: method, state, front function."""

from .conjugate_gradient_descent import ConjugateGradientDescentState as ConjugateGradientDescentState
from .conjugate_gradient_descent import conjugate_gradient_descent as conjugate_gradient_descent
from .curve_fit import curve_fit as curve_fit
from .damping import AdachiOkunoTakeda as AdachiOkunoTakeda
from .damping import Damping as Damping
from .damping import FixedDamping as FixedDamping
from .damping import Nielsen as Nielsen
from .exact_model import ExactModelState as ExactModelState
from .gradient_descent import GradientDescentState as GradientDescentState
from .gradient_descent import gradient_descent as gradient_descent
from .hessian_approximations import BFGSHessian as BFGSHessian
from .hessian_approximations import FiniteDifferenceHessian as FiniteDifferenceHessian
from .hessian_approximations import HessianApproximation as HessianApproximation
from .hessian_approximations import SymmetricRankOneHessian as SymmetricRankOneHessian
from .lanczos import LanczosState as LanczosState
from .levenberg_marquardt import LevenbergMarquardtState as LevenbergMarquardtState
from .levenberg_marquardt import levenberg_marquardt as levenberg_marquardt
from .minimize_residuals import minimize_residuals as minimize_residuals
from .model_solver import ModelSolverState as ModelSolverState
from .quasi_newton import QuasiNewtonState as QuasiNewtonState
from .quasi_newton import quasi_newton as quasi_newton
from .truncated_conjugate_gradient_descent import TruncatedConjugateGradientState as TruncatedConjugateGradientState
from .truncated_conjugate_gradient_descent import (
    truncated_conjugate_gradient_descent as truncated_conjugate_gradient_descent,
)
from .trust_region_steps import More as More
from .trust_regions import TrustRegionsState as TrustRegionsState
from .trust_regions import trust_regions as trust_regions
