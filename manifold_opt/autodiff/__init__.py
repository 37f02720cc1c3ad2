"""Derivatives of the user's functions: back ends, what chooses among them, and checks of what they find."""

from .autograd_backend import AutogradBackend
from .backend import Backend
from .choose import BACKENDS, choose_backend
from .complex_step import ComplexStep
from .errors import CannotDifferentiate, DerivativeWarning, LostDerivative, WrongDerivative
from .finite_differences import FiniteDifferences
from .jax_backend import JaxBackend
from .safeguards import check_cost_gradient, check_residual_jacobian
from .torch_backend import TorchBackend

__all__ = [
    "BACKENDS",
    "AutogradBackend",
    "Backend",
    "CannotDifferentiate",
    "ComplexStep",
    "DerivativeWarning",
    "FiniteDifferences",
    "JaxBackend",
    "LostDerivative",
    "TorchBackend",
    "WrongDerivative",
    "check_cost_gradient",
    "check_residual_jacobian",
    "choose_backend",
]
