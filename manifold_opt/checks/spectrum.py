r"""The Hessian in coordinates: its matrix, its spectrum, its extreme eigenvalues; and bases as matrices.

In an orthonormal basis E_1, ..., E_d of the tangent space at p the Hessian of f is the symmetric matrix of entries
<E_i, Hess f(p)[E_j]>. Its eigenvalues belong to f and the metric, not to the basis. At a critical point all of them
positive mean a strict minimum, one negative a saddle, and their ratio how hard the minimum is to find.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.problem import Problem
from ..linalg import Array
from .derivatives import _cost_objective

__all__ = [
    "HessianSpectrum",
    "extreme_eigenvalues",
    "hessian_matrix",
    "hessian_spectrum",
    "operator_matrix",
    "tangent_basis_matrix",
]


@dataclass(frozen=True, eq=False)
class HessianSpectrum:
    """Eigenvalues of a Hessian, and what they say.

    Attributes
    ----------
    eigenvalues : array of shape (dim,)
        In ascending order.
    eigenvectors : array of shape (dim, *vector_shape)
        Orthonormal tangent vectors that belong to them.
    asymmetry : float
        Largest difference of the matrix and its transpose, over its largest entry.
    gradient_norm : float
        At the point: the signs mean what they say only where it vanishes.
    rounding : float
        Eigenvalues up to this size count as zero.
    """

    eigenvalues: Array
    eigenvectors: Array
    asymmetry: float
    gradient_norm: float
    rounding: float

    @property
    def index(self) -> int:
        """Number of negative eigenvalues."""
        return int(np.sum(self.eigenvalues < -self.rounding))

    @property
    def nullity(self) -> int:
        """Number of eigenvalues that are zero up to rounding."""
        return int(np.sum(np.abs(self.eigenvalues) <= self.rounding))

    @property
    def condition(self) -> float:
        """Largest over smallest absolute eigenvalue."""
        sizes = np.abs(self.eigenvalues)
        return float(sizes.max() / sizes.min()) if sizes.min() > 0.0 else float("inf")

    def __repr__(self) -> str:
        w = self.eigenvalues
        return (
            f"HessianSpectrum: {len(w)} eigenvalues from {w[0]:.6g} to {w[-1]:.6g}, {self.index} negative, "
            f"{self.nullity} zero, condition {self.condition:.3g}; |gradient| {self.gradient_norm:.2e}"
        )

    def plot(self, ax: Any = None) -> Any:
        """Draw the eigenvalues in ascending order.

        Parameters
        ----------
        ax : matplotlib axes, optional
            Default: those of a new figure.

        Returns
        -------
        matplotlib axes
        """
        if ax is None:
            from matplotlib import pyplot

            ax = pyplot.figure().add_subplot()
        ax.plot(np.arange(1, len(self.eigenvalues) + 1), self.eigenvalues, "o")
        ax.axhline(0.0, linewidth=0.5)
        ax.set(xlabel="number", ylabel="eigenvalue of the Hessian")
        return ax


def tangent_basis_matrix(M: Any, p: Array, basis: Any = None) -> Array:
    """Matrix whose columns are the vectors of a basis of the tangent space, embedded and flattened.

    Parameters
    ----------
    M : Manifold
    p : array
        Point.
    basis : optional
        See ``M.get_basis``. Default: the manifold's orthonormal one.

    Returns
    -------
    array of shape (embedding size, dim)
        B; where the metric is that of the embedding, ``B.T @ B`` is the identity, and B times coordinates is the
        embedded vector.

    Examples
    --------
    >>> import numpy as np
    >>> from manifold_opt.checks import tangent_basis_matrix
    >>> from manifold_opt.manifolds import Sphere
    >>> B = tangent_basis_matrix(Sphere(2), np.array([0.6, 0.0, 0.8]))
    >>> B.shape, bool(np.allclose(B.T @ B, np.eye(2)))
    ((3, 2), True)
    """
    p = np.asarray(p)
    M.check_point(p)
    vectors = M.get_basis(p, basis)
    return np.stack([np.asarray(M.embed_vector(p, E)).reshape(-1) for E in vectors], axis=-1)


def operator_matrix(M: Any, p: Array, operator: Any, q: Array | None = None) -> Array:
    """Matrix of a linear operator of tangent vectors, in the default orthonormal bases.

    Parameters
    ----------
    M : Manifold
    p : array
        Point whose tangent vectors the operator takes.
    operator : callable
        Tangent vector at p -> tangent vector at q.
    q : array, optional
        Default p.

    Returns
    -------
    array of shape (dim, dim)
    """
    q = p if q is None else q
    return np.stack([np.asarray(M.get_coordinates(q, operator(E))) for E in M.get_basis(p)], axis=-1)


def hessian_matrix(
    M: Any,
    f: Any,
    p: Array,
    *,
    gradient: Any = None,
    hessian: Any = None,
    objective_type: str = "riemannian",
    autodiff: str = "auto",
) -> Array:
    """Matrix of the Riemannian Hessian at p in the default orthonormal basis, by dim products.

    Parameters
    ----------
    M : Manifold
    f : callable, Fused or Objective
        Cost, as solvers take it.
    p : array
        Point.
    gradient, hessian, objective_type, autodiff : optional
        Those of solvers.

    Returns
    -------
    array of shape (dim, dim)
        Not made symmetric: what is asymmetric in it is the error of the products.
    """
    e = Problem(M, _cost_objective(f, gradient, hessian, objective_type, autodiff)).evaluate(p)
    return operator_matrix(M, e.point, e.hessian)


def hessian_spectrum(
    M: Any,
    f: Any,
    p: Array,
    *,
    gradient: Any = None,
    hessian: Any = None,
    objective_type: str = "riemannian",
    autodiff: str = "auto",
    plot: bool = False,
) -> HessianSpectrum:
    """All eigenvalues and eigenvectors of the Riemannian Hessian at p.

    Parameters
    ----------
    M : Manifold
    f : callable, Fused or Objective
        Cost, as solvers take it.
    p : array
        Point.
    gradient, hessian, objective_type, autodiff : optional
        Those of solvers.
    plot : bool
        Draw them with matplotlib as well. Default False.

    Returns
    -------
    HessianSpectrum

    Notes
    -----
    Takes dim Hessian products and dim^3 operations; `extreme_eigenvalues` is for larger problems.

    Examples
    --------
    >>> import numpy as np
    >>> from manifold_opt.checks import hessian_spectrum
    >>> from manifold_opt.manifolds import Sphere
    >>> A = np.diag([1.0, 2.0, 4.0])
    >>> hessian_spectrum(Sphere(2), lambda p: p @ A @ p, np.array([0.0, 1.0, 0.0])).eigenvalues.round(6)
    array([-2.,  4.])
    """
    e = Problem(M, _cost_objective(f, gradient, hessian, objective_type, autodiff)).evaluate(p)
    H = operator_matrix(M, e.point, e.hessian)
    size = float(np.max(np.abs(H), initial=0.0))
    asymmetry = float(np.max(np.abs(H - H.T), initial=0.0))
    w, C = np.linalg.eigh(0.5 * (H + H.T))
    vectors = np.stack([M.get_vector(e.point, c) for c in C.T])
    # products by differences are no more exact than they are symmetric
    rounding = max(100.0 * float(np.finfo(w.dtype).eps) * size, asymmetry)
    found = HessianSpectrum(w, vectors, asymmetry / size if size else 0.0, e.gradient_norm, rounding)
    if plot:
        found.plot()
    return found


def extreme_eigenvalues(
    M: Any,
    f: Any,
    p: Array,
    *,
    gradient: Any = None,
    hessian: Any = None,
    objective_type: str = "riemannian",
    autodiff: str = "auto",
    tolerance: float = 1e-8,
    max_iterations: int | None = None,
    rng: Any = 0,
) -> tuple[float, float]:
    """Smallest and largest eigenvalue of the Riemannian Hessian at p, by Lanczos' method on tangent vectors.

    Parameters
    ----------
    M : Manifold
    f : callable, Fused or Objective
        Cost, as solvers take it.
    p : array
        Point.
    gradient, hessian, objective_type, autodiff : optional
        Those of solvers.
    tolerance : float, optional
        Largest residual of the two eigenpairs, relative to the largest absolute eigenvalue. Default 1e-8.
    max_iterations : int, optional
        Largest number of Hessian products. Default: the dimension, at most 300.
    rng : seed or Generator, optional
        For the first vector.

    Returns
    -------
    smallest, largest : float

    Raises
    ------
    ValueError
        On a tolerance that is not positive.

    Notes
    -----
    Every vector is made orthogonal to all before, twice, so that no eigenvalue comes as a ghost. What is found lies
    between the two true ones.
    """
    if not tolerance > 0.0:
        raise ValueError(f"`tolerance` must be positive; got {tolerance!r}.")
    e = Problem(M, _cost_objective(f, gradient, hessian, objective_type, autodiff)).evaluate(p)
    p = e.point
    steps = min(M.dim, 300) if max_iterations is None else min(M.dim, max_iterations)
    V = [_unit(M, p, M.random_vector(p, np.random.default_rng(rng)))]
    alpha: list[float] = []
    beta: list[float] = []
    for k in range(steps):
        W = e.hessian(V[k])
        alpha.append(float(M.inner(p, V[k], W)))
        for _ in range(2):
            for U in V:
                W = W - float(M.inner(p, U, W)) * U
        beta.append(float(M.norm(p, W)))
        w, C = np.linalg.eigh(np.diag(alpha) + np.diag(beta[:-1], 1) + np.diag(beta[:-1], -1))
        size = float(np.max(np.abs(w)))
        if beta[-1] * max(abs(C[-1, 0]), abs(C[-1, -1])) <= tolerance * size:
            break
        V.append(W / beta[-1])
    return float(w[0]), float(w[-1])


def _unit(M: Any, p: Array, X: Array) -> Array:
    return X / float(M.norm(p, X))
