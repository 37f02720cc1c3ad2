"""One algorithm a file: method, state, front function."""

from .adaptive_regularization_with_cubics import AdaptiveRegularizationState as AdaptiveRegularizationState
from .adaptive_regularization_with_cubics import (
    adaptive_regularization_with_cubics as adaptive_regularization_with_cubics,
)
from .alternating_gradient_descent import AlternatingGradientDescentState as AlternatingGradientDescentState
from .alternating_gradient_descent import alternating_gradient_descent as alternating_gradient_descent
from .bundle_adjustment import bundle_adjust as bundle_adjust
from .conjugate_gradient_descent import ConjugateGradientDescentState as ConjugateGradientDescentState
from .conjugate_gradient_descent import conjugate_gradient_descent as conjugate_gradient_descent
from .conjugate_residual import ConjugateResidualState as ConjugateResidualState
from .conjugate_residual import conjugate_residual as conjugate_residual
from .curve_fit import curve_fit as curve_fit
from .damping import AdachiOkunoTakeda as AdachiOkunoTakeda
from .damping import Damping as Damping
from .damping import FixedDamping as FixedDamping
from .damping import Nielsen as Nielsen
from .dogleg import DoglegState as DoglegState
from .dogleg import dogleg as dogleg
from .exact_model import ExactModelState as ExactModelState
from .gauss_newton import GaussNewtonState as GaussNewtonState
from .gauss_newton import gauss_newton as gauss_newton
from .gradient_descent import GradientDescentState as GradientDescentState
from .gradient_descent import gradient_descent as gradient_descent
from .hessian_approximations import BFGSHessian as BFGSHessian
from .hessian_approximations import FiniteDifferenceHessian as FiniteDifferenceHessian
from .hessian_approximations import GaussNewtonHessian as GaussNewtonHessian
from .hessian_approximations import HessianApproximation as HessianApproximation
from .hessian_approximations import SymmetricRankOneHessian as SymmetricRankOneHessian
from .lanczos import LanczosState as LanczosState
from .lbfgs_minimize import LBfgsOptimizerResults as LBfgsOptimizerResults
from .lbfgs_minimize import converged_all as converged_all
from .lbfgs_minimize import converged_any as converged_any
from .lbfgs_minimize import lbfgs_minimize as lbfgs_minimize
from .least_squares import least_squares as least_squares
from .levenberg_marquardt import LevenbergMarquardtState as LevenbergMarquardtState
from .levenberg_marquardt import levenberg_marquardt as levenberg_marquardt
from .minimize import minimize as minimize
from .minimize_residuals import minimize_residuals as minimize_residuals
from .model_solver import ModelSolverState as ModelSolverState
from .newton import NewtonState as NewtonState
from .newton import newton as newton
from .quasi_newton import QuasiNewtonState as QuasiNewtonState
from .quasi_newton import quasi_newton as quasi_newton
from .reweighted import IterativelyReweightedState as IterativelyReweightedState
from .reweighted import graduated_non_convexity as graduated_non_convexity
from .reweighted import iteratively_reweighted as iteratively_reweighted
from .second_order import SecondOrderState as SecondOrderState
from .stochastic_gradient_descent import StochasticGradientDescentState as StochasticGradientDescentState
from .stochastic_gradient_descent import stochastic_gradient_descent as stochastic_gradient_descent
from .truncated_conjugate_gradient_descent import TruncatedConjugateGradientState as TruncatedConjugateGradientState
from .truncated_conjugate_gradient_descent import (
    truncated_conjugate_gradient_descent as truncated_conjugate_gradient_descent,
)
from .trust_region_reflective import TrustRegionReflectiveState as TrustRegionReflectiveState
from .trust_region_reflective import trust_region_reflective as trust_region_reflective
from .trust_region_steps import More as More
from .trust_region_steps import PowellDogleg as PowellDogleg
from .trust_region_steps import SubspaceDogleg as SubspaceDogleg
from .trust_regions import TrustRegionsState as TrustRegionsState
from .trust_regions import trust_regions as trust_regions
from .vectorbundle_newton import AffineCovariantStepsize as AffineCovariantStepsize
from .vectorbundle_newton import VectorBundleNewtonState as VectorBundleNewtonState
from .vectorbundle_newton import vectorbundle_newton as vectorbundle_newton
