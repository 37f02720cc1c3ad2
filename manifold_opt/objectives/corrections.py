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

from typing import Any

import numpy as np

CORRECTIONS = ("triggs", "irls")

# Smallest 1 - alpha with the curvature of the loss: below it a step would be longer than that of plain reweighting by
# more than the square of its inverse, far beyond where the expansion of rho holds.
_SMALLEST = 0.5


def corrected(r: Any, J: Any, losses: tuple[Any, Any, Any], size: int, correction: str) -> tuple[Any, Any]:
    """Residuals and Jacobian of the plain model.

    Parameters
    ----------
    r : array of shape (m,)
    J : array of shape (m, d), or a sparse matrix
    losses : tuple of array of shape (m / size,)
        rho, rho' and rho'' of the groups.
    size : int
        Residuals per group.
    correction : {"triggs", "irls"}

    Returns
    -------
    r, J
        The same shapes.
    """
    _, first, second = losses
    root = np.sqrt(first)
    rows = np.repeat(root, size)
    if correction == "irls" or not second.any():
        return rows * r, _scaled_rows(rows, J)
    groups = r.reshape(-1, size)
    z = np.einsum("ij,ij->i", groups, groups)
    with np.errstate(divide="ignore", invalid="ignore"):
        square = 1.0 + 2.0 * z * np.where(first > 0.0, second / first, 0.0)
    beta = np.where(square >= _SMALLEST**2, np.sqrt(np.maximum(square, 0.0)), 1.0)  # 1 - alpha
    residuals = (root / beta)[:, None] * groups
    if size == 1:
        return residuals.reshape(-1), _scaled_rows(root * beta, J)
    unit = groups / np.sqrt(np.where(z > 0.0, z, 1.0))[:, None]
    return residuals.reshape(-1), _deflated(_scaled_rows(rows, J), unit, 1.0 - beta)


def _scaled_rows(w: Any, J: Any) -> Any:
    """diag(w) J."""
    return J.multiply(w[:, None]).tocsr() if hasattr(J, "tocsr") else w[:, None] * J


def _deflated(J: Any, unit: Any, alpha: Any) -> Any:
    """(I - alpha u u') J for each group with unit vector u."""
    n, size = unit.shape
    if hasattr(J, "tocsr"):
        from scipy.sparse import block_diag, eye_array

        blocks = alpha[:, None, None] * unit[:, :, None] * unit[:, None, :]
        return (eye_array(n * size) - block_diag(list(blocks), format="csr")) @ J
    groups = J.reshape(n, size, -1)
    along = np.einsum("ij,ijk->ik", unit, groups)
    return (groups - (alpha[:, None] * unit)[:, :, None] * along[:, None, :]).reshape(J.shape)
