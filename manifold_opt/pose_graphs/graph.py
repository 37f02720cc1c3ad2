r"""A pose graph: poses of a robot, and measurements of some of them relative to others.

An edge (i, j) says where pose j was seen from pose i: Z_ij is about T_i^-1 T_j. How much it is to be believed is said
by its information matrix, the inverse of the covariance of Log(Z^-1 T_i^-1 T_j) in the order of the g2o format,
translation before rotation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..manifolds import PowerManifold, ProductManifold, SpecialEuclidean

# eigenvalues below this part of the largest are rounding
_ROUNDED = 1e-12


class InformationError(ValueError):
    """Information matrices that are not positive definite; the message says how many, which, and the way out."""


@dataclass(frozen=True, eq=False)
class PoseGraph:
    r"""Relative measurements between poses, in the plane or in space.

    Parameters
    ----------
    edges : array of int, shape (m, 2)
        Numbers i, j of the poses that an edge joins, in 0..n - 1.
    measurements : array of shape (m, d (d + 1))
        Z_ij, about T_i^-1 T_j, as points of ``SpecialEuclidean(d)``: the rotation by rows, then the translation.
    information : array of shape (m, p, p), p = d (d + 1) / 2
        Symmetric; translation before rotation.
    poses : array of shape (n, d (d + 1)), optional
        Where the poses are thought to be; None if nothing is known.
    ids : array of int, shape (n,), optional
        What the poses are called in a file, in ascending order; default 0..n - 1.
    fixed : array of int, optional
        Numbers of the poses that must stay where they are.
    truth : array of shape (n, d (d + 1)), optional
        Where the poses are, of a generated graph.
    inliers : array of bool, shape (m,), optional
        Which edges measure the truth, of a generated graph.

    Raises
    ------
    ValueError
        When shapes do not fit, a number is not finite, an edge joins a pose to itself or names one that is not there,
        or an information matrix is not symmetric.
    """

    edges: Any
    measurements: Any
    information: Any
    poses: Any = None
    ids: Any = None
    fixed: Any = ()
    truth: Any = None
    inliers: Any = None

    def __post_init__(self) -> None:
        edges = np.array(self.edges)
        if edges.ndim != 2 or edges.shape[1] != 2 or edges.dtype.kind not in "iu" or len(edges) == 0:
            raise ValueError(f"`edges` must be pairs of integers, at least one; got {edges.dtype} of {edges.shape}.")
        Z = np.array(self.measurements, dtype=float)
        if Z.ndim != 2 or len(Z) != len(edges) or Z.shape[1] not in (6, 12):
            raise ValueError(f"`measurements` must have shape ({len(edges)}, 6 or 12), one per edge; got {Z.shape}.")
        d = 2 if Z.shape[1] == 6 else 3
        p = d * (d + 1) // 2
        information = np.array(self.information, dtype=float)
        if information.shape != (len(edges), p, p):
            raise ValueError(f"`information` must have shape {(len(edges), p, p)}; got {information.shape}.")
        n = _number_of_poses(self, edges)
        values: dict[str, Any] = {
            "edges": edges.astype(np.intp),
            "measurements": Z,
            "information": information,
            "ids": np.arange(n) if self.ids is None else np.array(self.ids),
            "fixed": np.unique(np.array(self.fixed, dtype=np.intp)),
        }
        for name in ("poses", "truth"):
            given = getattr(self, name)
            values[name] = None if given is None else np.array(given, dtype=float)
        values["inliers"] = None if self.inliers is None else np.array(self.inliers, dtype=bool)
        for name, value in values.items():
            if value is not None:
                value.flags.writeable = False
            object.__setattr__(self, name, value)
        self._check(n, d)

    def _check(self, n: int, d: int) -> None:
        i, j = self.edges.T
        if self.edges.min() < 0 or self.edges.max() >= n:
            raise ValueError(f"`edges` must join poses 0..{n - 1}; got {self.edges.min()}..{self.edges.max()}.")
        if (i == j).any():
            raise ValueError(f"edge {int(np.argmax(i == j))} joins pose {self.ids[i[np.argmax(i == j)]]} to itself.")
        for name in ("measurements", "information", "poses", "truth"):
            value = getattr(self, name)
            if value is None:
                continue
            if name in ("poses", "truth") and value.shape != (n, d * (d + 1)):
                raise ValueError(f"`{name}` must have shape {(n, d * (d + 1))}; got {value.shape}.")
            finite = np.isfinite(value.reshape(len(value), -1)).all(axis=1)
            if not finite.all():
                raise ValueError(f"`{name}` must be finite; entry {int(np.argmin(finite))} is not.")
        if self.ids.shape != (n,) or self.ids.dtype.kind not in "iu" or (np.diff(self.ids) <= 0).any():
            raise ValueError(f"`ids` must be {n} integers in ascending order.")
        if self.fixed.size and (self.fixed[0] < 0 or self.fixed[-1] >= n):
            raise ValueError(f"`fixed` must be numbers of poses, in 0..{n - 1}; got {self.fixed}.")
        if self.inliers is not None and self.inliers.shape != (len(i),):
            raise ValueError(f"`inliers` must have shape {(len(i),)}; got {self.inliers.shape}.")
        Omega = self.information
        uneven = np.abs(Omega - Omega.swapaxes(1, 2)).max(axis=(1, 2)) > 1e-9 * np.abs(Omega).max(axis=(1, 2))
        if uneven.any():
            raise ValueError(f"`information` must be symmetric; that of edge {int(np.argmax(uneven))} is not.")

    # sizes

    @property
    def dimension(self) -> int:
        """d: 2 for the plane, 3 for space."""
        return 2 if self.measurements.shape[1] == 6 else 3

    @property
    def num_poses(self) -> int:
        """Number of poses, n."""
        return len(self.ids)

    @property
    def num_edges(self) -> int:
        """Number of edges, m."""
        return len(self.edges)

    # parts

    @property
    def pose_manifold(self) -> SpecialEuclidean:
        """SE(d), where each pose is."""
        return SpecialEuclidean(self.dimension)

    @property
    def manifold(self) -> ProductManifold:
        """Where all poses are: a product with one factor ``poses``, a power of SE(d)."""
        return ProductManifold(poses=PowerManifold(self.pose_manifold, self.num_poses))

    @property
    def rotations(self) -> Any:
        """Measured rotations, of shape (m, d, d)."""
        return self.pose_manifold.split(self.measurements)[0]

    @property
    def translations(self) -> Any:
        """Measured translations, of shape (m, d)."""
        return self.pose_manifold.split(self.measurements)[1]

    @property
    def components(self) -> Any:
        """For each pose the number of the connected component it belongs to, of shape (n,)."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        i, j = self.edges.T
        A = coo_array((np.ones(len(i), np.int8), (i, j)), shape=(self.num_poses,) * 2)
        return connected_components(A, directed=False)[1]

    @property
    def anchors(self) -> Any:
        """Poses that are held: the fixed ones, and the first of each component that has none."""
        components = self.components
        held = np.zeros(components.max() + 1, bool)
        held[components[self.fixed]] = True
        first = np.unique(components, return_index=True)[1]
        return np.union1d(self.fixed, first[~held])

    # information

    def indefinite(self) -> Any:
        """Numbers of the edges whose information matrix is not positive definite.

        A matrix counts as such when an eigenvalue is at most 1e-12 of the largest.
        """
        w = np.linalg.eigvalsh(self.information)
        return np.flatnonzero(~(w[:, 0] > _ROUNDED * np.abs(w).max(axis=1)))

    def repaired(self, floor: float = 0.0) -> PoseGraph:
        """The graph with negative eigenvalues of information matrices raised to ``floor`` times the largest.

        With floor 0 it is the nearest positive semidefinite matrix in the Frobenius norm: directions about which a
        matrix says less than nothing have no weight. Matrices that are positive definite stay as they are.

        Parameters
        ----------
        floor : float, default 0.0
            At least 0, relative.
        """
        bad = self.indefinite()
        if len(bad) == 0:
            return self
        information = self.information.copy()
        w, U = np.linalg.eigh(information[bad])
        w = np.maximum(w, floor * np.abs(w).max(axis=1, keepdims=True))
        B = (U * w[:, None, :]) @ U.swapaxes(1, 2)
        information[bad] = 0.5 * (B + B.swapaxes(1, 2))
        return replace(self, information=information)

    def sqrt_information(self) -> Any:
        """Upper triangular W with W'W the information matrix, of shape (m, p, p).

        Raises
        ------
        InformationError
            When a matrix is not positive semidefinite.
        """
        try:
            return np.ascontiguousarray(np.linalg.cholesky(self.information).swapaxes(1, 2))
        except np.linalg.LinAlgError:
            pass
        bad = self.indefinite()
        w, U = np.linalg.eigh(self.information[bad])
        if (w < -_ROUNDED * np.abs(w).max(axis=1, keepdims=True)).any():
            raise self._information_error(bad)
        # singular ones: W from the QR factorization of the symmetric root
        W = np.zeros_like(self.information)
        good = np.setdiff1d(np.arange(self.num_edges), bad)
        W[good] = np.linalg.cholesky(self.information[good]).swapaxes(1, 2)
        W[bad] = np.linalg.qr(np.sqrt(np.maximum(w, 0.0))[:, :, None] * U.swapaxes(1, 2))[1]
        return W

    def isotropic_weights(self) -> tuple[Any, Any]:
        r"""Weights kappa of rotations and tau of translations of the chordal objective, both of shape (m,).

        tau = d / tr(Omega_t^-1) and kappa = d / (2 tr(Omega_R^-1)) in space, kappa = Omega_R in the plane, with Omega_t
        and Omega_R the diagonal blocks of the information matrix: concentrations of isotropic noise that loses about as
        much information [1]_.

        Raises
        ------
        InformationError
            When such a block has a negative eigenvalue; one that is singular has weight zero.

        References
        ----------
        .. [1] D. M. Rosen, L. Carlone, A. S. Bandeira, J. J. Leonard, SE-Sync: a certifiably correct algorithm for
           synchronization over the special Euclidean group, IJRR 38 (2019), section 6.
        """
        d = self.dimension
        weights = []
        rotations, translations = self.information[:, d:, d:], self.information[:, :d, :d]
        for block, factor in ((rotations, 0.5 if d == 3 else 1.0), (translations, 1.0)):
            w = np.linalg.eigvalsh(block)
            largest = np.abs(w).max(axis=1)
            bad = np.flatnonzero(w[:, 0] < -_ROUNDED * largest)
            if len(bad):
                raise self._information_error(bad, "a block of the")
            singular = w[:, 0] <= _ROUNDED * largest
            safe = np.where(singular[:, None], 1.0, w)
            weights.append(np.where(singular, 0.0, factor * block.shape[1] / (1.0 / safe).sum(axis=1)))
        return weights[0], weights[1]

    def _information_error(self, bad: Any, what: str = "an") -> InformationError:
        i, j = self.ids[self.edges[bad[0]]]
        return InformationError(
            f"{len(bad)} of {self.num_edges} edges have {what} information matrix that is not positive definite (the "
            f"first is edge {bad[0]}, from {i} to {j}); correct them, or take graph.repaired()."
        )

    def __repr__(self) -> str:
        what = [f"{self.num_poses} poses", f"{self.num_edges} edges"]
        if self.poses is None:
            what.append("no estimate of the poses")
        return f"PoseGraph(in {'the plane' if self.dimension == 2 else 'space'}: {', '.join(what)})"


def _number_of_poses(graph: PoseGraph, edges: Any) -> int:
    for name in ("poses", "ids", "truth"):
        value = getattr(graph, name)
        if value is not None:
            return len(value)
    return int(edges.max()) + 1
