r"""Functions of the curvature operator, by its eigenvectors.

The operator R_X Y = R(Y, X) X of a tangent vector X is self-adjoint. On a symmetric space its eigenvectors are known
from X alone, so that f(R_X) Y costs one decomposition of X:

- constant curvature K (spheres, hyperbolic spaces, flat spaces, probability simplices): 0 along X, K |X|^2 across;
- complex projective space: 0 along X, 4 |X|^2 along i X, |X|^2 across both;
- matrix groups, X = U diag(i a) U* skew-Hermitian: (a_i - a_j)^2 / 4 for the entry (i, j) of U* Y U;
- positive definite matrices, L^-1 X L^-* = U diag(a) U*: -(a_i - a_j)^2 / 4 for the entry (i, j) of U* L^-1 Y L^-* U;
- Grassmann manifold, X = U diag(a) V*: (a_i - a_j)^2 and (a_i + a_j)^2 for the Hermitian and the skew-Hermitian part of
  the entry (i, j) of U* Y V, and a_j^2 for what is left of column j of Y V;
- products and powers: part by part.

References
----------
S. Helgason, Differential Geometry, Lie Groups, and Symmetric Spaces, Academic Press, 1978, theorem IV.4.2.
R. Bergmann, P.-Y. Gousenbourger, "A variational model for data fitting on manifolds by minimizing the acceleration of a
Bézier curve", Front. Appl. Math. Stat. 4 (2018), section 2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..linalg.namespace import Array, adjoint, namespace
from ..linalg.small import cholesky, solve_triangular
from ..manifolds import (
    Grassmann,
    Manifold,
    MissingOperation,
    Orthogonal,
    PowerManifold,
    ProductManifold,
    ProjectiveSpace,
    Rotations,
    Scaled,
    SpecialUnitary,
    Unitary,
    Validated,
)
from ..manifolds.affine_invariant import AffineInvariantGeometry
from ..manifolds.arrays import expanded, frobenius
from ..manifolds.identified import Identified

Spectral = Callable[[Array, int], Array]
"""f(kappa, k) of eigenvalues that have k axes behind those of the batch."""


def has_curvature(M: Manifold) -> bool:
    """Whether `curvature_function` knows the eigenvectors on this manifold."""
    return _rule(M) is not None


def curvature_function(M: Manifold, p: Array, X: Array, Y: Array, f: Spectral) -> Array:
    """The tangent vector f(R_X) Y.

    Parameters
    ----------
    M : Manifold
        A symmetric space, or a product or power of such; see `has_curvature`.
    p, X, Y : array
        Point and tangent vectors at it, of one batch.
    f : callable
        ``f(kappa, k)`` is applied to arrays of eigenvalues that have k axes behind those of the batch.

    Raises
    ------
    MissingOperation
        When the eigenvectors are not known on M.
    """
    rule = _rule(M)
    if rule is None:
        raise MissingOperation(
            f"the eigenvectors of the curvature operator are not known on {M!r}; use automatic differentiation or "
            "differences for derivatives of exp and log there"
        )
    value: Array = rule(M, p, X, Y, f)
    return value


def _rule(M: Any) -> Any:
    if isinstance(M, (Scaled, Validated)):  # the operator does not change with a factor of the metric
        return _on_wrapped if has_curvature(M.manifold) else None
    if isinstance(M, ProductManifold):
        return _on_product if all(has_curvature(N) for _, N in M.factors) else None
    if isinstance(M, Identified):
        return _on_model if has_curvature(M.model) else None
    if isinstance(M, PowerManifold):
        return _on_power if has_curvature(M.manifold) else None
    if M.has("sectional_curvature_bounds"):
        low, high = M.sectional_curvature_bounds
        if low == high:
            return _of_constant_curvature
    if hasattr(M, "rotations") and hasattr(M, "split_vector"):
        return _on_motions if has_curvature(M.rotations) else None
    for kinds, rule in _RULES:
        if isinstance(M, kinds):
            return rule
    return None


def _of_constant_curvature(M: Any, p: Array, X: Array, Y: Array, f: Spectral) -> Array:
    xp = namespace(p, X, Y)
    k = len(M.vector_shape)
    K = M.sectional_curvature_bounds[0]
    n = xp.asarray(M.inner(p, X, X)) if xp is np else M.inner(p, X, X)
    flat = f(0.0 * n, 0)
    if K == 0.0:
        return expanded(flat, k) * Y
    safe = xp.where(n > 0, n, 1.0)
    along = expanded(M.inner(p, X, Y) / safe, k) * X
    return expanded(flat, k) * along + expanded(f(K * n, 0), k) * (Y - along)


def _on_complex_lines(M: Any, p: Array, X: Array, Y: Array, f: Spectral) -> Array:
    xp = namespace(p, X, Y)
    n = frobenius(xp, X, X, 1)
    c = xp.sum(xp.conj(X) * Y, axis=-1) / xp.where(n > 0, n, 1.0)
    rest = Y - c[..., None] * X
    inside = f(0.0 * n, 0) * xp.real(c) + 1j * (f(4.0 * n, 0) * xp.imag(c))
    return inside[..., None] * X + expanded(f(n, 0), 1) * rest


def _on_group(M: Any, p: Array, X: Array, Y: Array, f: Spectral) -> Array:
    xp = namespace(p, X, Y)
    a, U = xp.linalg.eigh(-1j * X)
    kappa = 0.25 * (a[..., :, None] - a[..., None, :]) ** 2
    Z = U @ (f(kappa, 2) * (adjoint(U) @ Y @ U)) @ adjoint(U)
    return Z if M.field == "complex" else xp.real(Z)


def _on_positive_definite(M: Any, p: Array, X: Array, Y: Array, f: Spectral) -> Array:
    L = cholesky(p)
    a, U = namespace(p, X).linalg.eigh(_whitened(L, X))
    kappa = -0.25 * (a[..., :, None] - a[..., None, :]) ** 2
    B = L @ U
    Z = B @ (f(kappa, 2) * (adjoint(U) @ _whitened(L, Y) @ U)) @ adjoint(B)
    return 0.5 * (Z + adjoint(Z))


def _whitened(L: Array, X: Array) -> Array:
    W = solve_triangular(L, adjoint(solve_triangular(L, X)))
    return 0.5 * (W + adjoint(W))


def _on_grassmann(M: Any, p: Array, X: Array, Y: Array, f: Spectral) -> Array:
    U, a, Vh = namespace(X, Y).linalg.svd(X, full_matrices=False)
    Z = Y @ adjoint(Vh)
    inside = adjoint(U) @ Z
    flipped = adjoint(inside)
    minus = f((a[..., :, None] - a[..., None, :]) ** 2, 2)
    plus = f((a[..., :, None] + a[..., None, :]) ** 2, 2)
    mixed = 0.5 * (minus * (inside + flipped) + plus * (inside - flipped))
    return (U @ mixed + (Z - U @ inside) * f(a**2, 1)[..., None, :]) @ Vh


def _on_motions(M: Any, p: Array, X: Array, Y: Array, f: Spectral) -> Array:
    """Rotations with all else flat, as the product geometry of rigid motions has it."""
    xp = namespace(p, X, Y)
    (R, *_), (W, *_), (V, *rest) = M.split(p), M.split_vector(X), M.split_vector(Y)
    n = xp.sum(0.0 * W, axis=tuple(range(-len(M.rotations.vector_shape), 0)))
    flat = f(n, 0)
    parts = [expanded(flat, part.ndim - n.ndim) * part for part in rest]
    return M.join_vector(curvature_function(M.rotations, R, W, V, f), *parts)


def _on_wrapped(M: Any, p: Array, X: Array, Y: Array, f: Spectral) -> Array:
    return curvature_function(M.manifold, p, X, Y, f)


def _on_product(M: Any, p: Array, X: Array, Y: Array, f: Spectral) -> Array:
    parts = zip(M._parts, M.split(p), M.split_vector(X), M.split_vector(Y))
    return M.join_vector(*(curvature_function(N, *own, f) for N, *own in parts))  # type: ignore[call-arg]


def _on_model(M: Any, p: Array, X: Array, Y: Array, f: Spectral) -> Array:
    return M._back(curvature_function(M.model, M._to(p), M._to(X), M._to(Y), f))


def _on_power(M: Any, p: Array, X: Array, Y: Array, f: Spectral) -> Array:
    """The copies are axes behind the batch of the power."""
    copies = len(M.copies)
    return curvature_function(M.manifold, p, X, Y, lambda kappa, k: f(kappa, k + copies))


_RULES: tuple[tuple[Any, Any], ...] = (
    ((Rotations, Orthogonal, Unitary, SpecialUnitary), _on_group),
    ((AffineInvariantGeometry,), _on_positive_definite),
    ((Grassmann,), _on_grassmann),
    ((ProjectiveSpace,), _on_complex_lines),
)
