r"""From a robust cost to a plain least-squares model.

For a group of residuals r with z = |r|^2 and Jacobian J, the cost 1/2 rho(z) has the gradient rho' J'r and, without the
curvature of r itself, the Hessian J'(rho' I + 2 rho'' r r') J. Triggs et al. write both as those of 1/2 |r~ + J~ s|^2:

    J~ = sqrt(rho') (I - alpha r r' / z) J,    r~ = sqrt(rho') / (1 - alpha) r,    1/2 alpha^2 - alpha = z rho'' / rho'.

Beyond the inflection point of the loss no such alpha < 1 exists: the cost is concave along r, and r~ explodes on the
way there. Two stabilizers keep the model useful: 1 - alpha is kept from 0, and where rho'' would take it below that
bound the group is only reweighted (alpha = 0), as everywhere with ``"irls"``. The gradient is exact in all cases.

References
----------
.. [1] B. Triggs, P. McLauchlan, R. Hartley, A. Fitzgibbon, Bundle adjustment: a modern synthesis, 1999, section 4.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..linalg.block_matrix import BlockMatrix
from .losses import LinearLoss, Loss, ScaledLoss

CORRECTIONS = ("triggs", "irls")

# Smallest 1 - alpha with the curvature of the loss: below it a step would be longer than that of plain reweighting by
# more than the square of its inverse, far beyond where the expansion of rho holds.
_SMALLEST = 0.5


class Groups(NamedTuple):
    """A run of residuals in groups of one size that share a loss.

    Attributes
    ----------
    number : int or None
        Number of groups; None for all residuals there are.
    size : int
        Residuals per group.
    loss : Loss
    """

    number: int | None
    size: int
    loss: Loss


@dataclass(frozen=True)
class Robust:
    """How residuals are grouped and what losses they have.

    Parameters
    ----------
    groups : tuple of Groups
        One after the other, as the residuals.
    correction : {"triggs", "irls"}
    """

    groups: tuple[Groups, ...]
    correction: str = "triggs"

    def evaluate(self, r: Any) -> tuple[Any, Any, Any]:
        """Values rho, rho' and rho'' of the groups of the residuals r, for all groups one after the other."""
        parts = [loss.evaluate(np.einsum("ij,ij->i", part, part)) for part, loss in self._split(r)]
        if len(parts) == 1:
            return parts[0]
        return tuple(np.concatenate(values) for values in zip(*parts, strict=True))  # type: ignore[return-value]  # three

    def expand(self, w: Any) -> Any:
        """One number per group, repeated for each of its residuals."""
        if len(self.groups) == 1:
            return np.repeat(w, self.groups[0].size) if self.groups[0].size > 1 else w
        return np.repeat(w, np.repeat([g.size for g in self.groups], [g.number for g in self.groups]))  # type: ignore[arg-type]  # numbers are known

    def scaled(self, factor: float) -> Robust:
        """The same with all losses times a factor."""
        return Robust(tuple(g._replace(loss=ScaledLoss(g.loss, factor)) for g in self.groups), self.correction)

    def corrected(self, r: Any, J: Any, losses: tuple[Any, Any, Any]) -> tuple[Any, Any]:
        """Residuals and Jacobian of the plain model.

        Parameters
        ----------
        r : array of shape (m,)
        J : array of shape (m, d), sparse matrix or BlockMatrix
        losses : tuple of array
            What `evaluate` returned.

        Returns
        -------
        r, J
            The same shapes.
        """
        _, first, second = losses
        root = np.sqrt(first)
        if self.correction == "irls" or not second.any():
            rows = self.expand(root)
            return rows * r, scaled_rows(rows, J)
        units, norms = self._units(r)
        with np.errstate(divide="ignore", invalid="ignore"):
            square = 1.0 + 2.0 * norms**2 * np.where(first > 0.0, second / first, 0.0)
        beta = np.where(square >= _SMALLEST**2, np.sqrt(np.maximum(square, 0.0)), 1.0)  # 1 - alpha
        residuals = self.expand(root / beta) * r
        if all(g.size == 1 for g in self.groups):
            return residuals, scaled_rows(root * beta, J)
        J = scaled_rows(self.expand(root), J)
        row = group = 0
        for u in units:
            n, size = u.shape
            J = _deflated(J, row, u, 1.0 - beta[group : group + n])
            row, group = row + n * size, group + n
        return residuals, J

    def _split(self, r: Any) -> list[tuple[Any, Loss]]:
        """Residuals of each run as (groups, size), with the loss."""
        parts, start = [], 0
        for number, size, loss in self.groups:
            stop = len(r) if number is None else start + number * size
            parts.append((r[start:stop].reshape(-1, size), loss))
            start = stop
        return parts

    def _units(self, r: Any) -> tuple[list[Any], Any]:
        """Unit vectors along the residuals of each group, and the norms of all."""
        units, norms = [], []
        for part, _ in self._split(r):
            norm = np.sqrt(np.einsum("ij,ij->i", part, part))
            units.append(part / np.where(norm > 0.0, norm, 1.0)[:, None])
            norms.append(norm)
        return units, np.concatenate(norms)


def one_loss(loss: Loss | None, size: int, correction: str) -> Robust | None:
    """All residuals in groups of one size with one loss; None for plain least squares."""
    return None if loss is None or isinstance(loss, LinearLoss) else Robust((Groups(None, size, loss),), correction)


def scaled_rows(w: Any, J: Any) -> Any:
    """diag(w) J."""
    if isinstance(J, BlockMatrix):
        return J.scaled_rows(w)
    return J.multiply(w[:, None]).tocsr() if hasattr(J, "tocsr") else w[:, None] * J


def _deflated(J: Any, row: int, u: Any, alpha: Any) -> Any:
    """(I - alpha u u') J for the groups of rows from ``row`` on, with unit vectors u of shape (n, size)."""
    n, size = u.shape
    if size == 1:
        return scaled_rows(_ones_but(J.shape[0], row, 1.0 - alpha), J)
    if isinstance(J, BlockMatrix):
        return J.mapped_rows(row, lambda blocks: _deflated_blocks(blocks, u, alpha))
    if hasattr(J, "tocsr"):
        from scipy.sparse import block_diag, csr_array, eye

        before, after = (csr_array(eye(k)) for k in (row, J.shape[0] - row - n * size))
        blocks = np.eye(size) - alpha[:, None, None] * u[:, :, None] * u[:, None, :]
        return block_diag([before, *blocks, after], format="csr") @ J
    J = np.array(J)
    rows = slice(row, row + n * size)
    J[rows] = _deflated_blocks(J[rows].reshape(n, size, -1), u, alpha).reshape(n * size, -1)
    return J


def _deflated_blocks(blocks: Any, u: Any, alpha: Any) -> Any:
    """(I - alpha u u') B for blocks B of shape (n, size, k)."""
    along = np.einsum("ij,ijk->ik", u, blocks)
    return blocks - (alpha[:, None] * u)[:, :, None] * along[:, None, :]


def _ones_but(m: int, row: int, values: Any) -> Any:
    w = np.ones(m)
    w[row : row + len(values)] = values
    return w
