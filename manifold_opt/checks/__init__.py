"""Checks of the user's derivatives: numbers, and plots on request."""

from .derivatives import check_differential, check_gradient, check_hessian, check_jacobian
from .slopes import SlopeCheck

__all__ = ["SlopeCheck", "check_differential", "check_gradient", "check_hessian", "check_jacobian"]
