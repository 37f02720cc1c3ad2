"""Checks of the user's derivatives and looks at the landscape of a cost: numbers, and plots on request."""

from .critical_points import CriticalPoint, critical_points
from .derivatives import check_differential, check_gradient, check_hessian, check_jacobian
from .methods import check_inverse_retraction, check_retraction, check_transport
from .profiles import Profile, line_profile, plane_profile
from .slopes import SlopeCheck
from .spectrum import (
    HessianSpectrum,
    extreme_eigenvalues,
    hessian_matrix,
    hessian_spectrum,
    operator_matrix,
    tangent_basis_matrix,
)

__all__ = [
    "CriticalPoint",
    "HessianSpectrum",
    "Profile",
    "SlopeCheck",
    "check_differential",
    "check_gradient",
    "check_hessian",
    "check_inverse_retraction",
    "check_jacobian",
    "check_retraction",
    "check_transport",
    "critical_points",
    "extreme_eigenvalues",
    "hessian_matrix",
    "hessian_spectrum",
    "line_profile",
    "operator_matrix",
    "plane_profile",
    "tangent_basis_matrix",
]
