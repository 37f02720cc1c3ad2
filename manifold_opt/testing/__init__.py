"""Conformance checks that any manifold should pass, a user's own included.

``check_manifold(M)`` runs them all; each can be called alone. A failure is a `ConformanceError`, an
AssertionError whose message names the manifold, the operation and the size of the discrepancy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from manifold_opt.manifolds import Manifold
from manifold_opt.testing.accuracy import check_accuracy, check_exp_accuracy
from manifold_opt.testing.derivative_checks import (
    check_distance_derivatives,
    check_generic_road,
    check_gradient_conversion,
    check_hessian_conversion,
    check_weingarten,
)
from manifold_opt.testing.manifold_checks import (
    check_batches,
    check_coordinates,
    check_drift,
    check_embedding,
    check_errors,
    check_exp_log,
    check_inverse_retractions,
    check_operations,
    check_out,
    check_radii,
    check_retractions,
    check_shapes_and_dtypes,
    check_transports,
    check_values,
    retraction_order,
)
from manifold_opt.testing.samples import ConformanceError

__all__ = [
    "MANIFOLD_CHECKS",
    "ConformanceError",
    "check_accuracy",
    "check_batches",
    "check_coordinates",
    "check_distance_derivatives",
    "check_drift",
    "check_embedding",
    "check_errors",
    "check_exp_accuracy",
    "check_exp_log",
    "check_generic_road",
    "check_gradient_conversion",
    "check_hessian_conversion",
    "check_inverse_retractions",
    "check_manifold",
    "check_operations",
    "check_out",
    "check_radii",
    "check_retractions",
    "check_shapes_and_dtypes",
    "check_transports",
    "check_values",
    "check_weingarten",
    "retraction_order",
]

MANIFOLD_CHECKS: tuple[Callable[..., None], ...] = (
    check_operations,
    check_values,
    check_errors,
    check_shapes_and_dtypes,
    check_batches,
    check_out,
    check_exp_log,
    check_retractions,
    check_inverse_retractions,
    check_transports,
    check_coordinates,
    check_embedding,
    check_radii,
    check_gradient_conversion,
    check_hessian_conversion,
    check_weingarten,
    check_generic_road,
    check_distance_derivatives,
    check_drift,
)
"""All checks that need nothing but the manifold, in the order in which they are best read when several fail."""


def check_manifold(M: Manifold, rng: Any = 0) -> None:
    """Run every conformance check on a manifold.

    Parameters
    ----------
    M : Manifold
        The manifold.
    rng : int, optional
        Seed of the random points and vectors, default 0.

    Raises
    ------
    ConformanceError
        From the first check that fails. Errors of the manifold itself pass through.
    """
    for check in MANIFOLD_CHECKS:
        check(M, rng)
