r"""Fitting a model y = f(x, p) to data, the parameters p on a manifold, with SciPy's conventions for errors.

The residuals are (f(x_i, p) - y_i) / sigma_i, or the coordinates of log_{y_i}(f(x_i, p)) in the tangent space at y_i
where the responses live on a manifold too: their norms are distances.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.result import Result
from ..linalg import namespace
from ..objectives.least_squares import NonlinearLeastSquaresObjective
from ..objectives.losses import as_loss
from .least_squares import least_squares


def curve_fit(
    M: Any,
    model: Callable[..., Any],
    x: Any,
    y: Any,
    p0: Any = None,
    *,
    sigma: Any = None,
    absolute_sigma: bool = False,
    jac: Callable[..., Any] | None = None,
    jacobian_type: str = "euclidean",
    response: Any = None,
    unpack: bool | None = None,
    loss: Any = None,
    f_scale: float | None = None,
    fixed: Any = None,
    tied: Any = None,
    check_finite: bool = True,
    autodiff: str = "auto",
    **keywords: Any,
) -> Result:
    r"""Fit a model to data by least squares.

    Parameters
    ----------
    M : Manifold
        Of the parameters; ``Euclidean(n)`` for n numbers.
    model : callable
        ``model(x, p)`` returns what is compared with ``y``, in the same shape.
    x : any
        Handed to the model as it is.
    y : array_like
        Data, of any shape; with ``response`` points of that manifold, ``(N, *point_shape)``.
    p0 : array, optional
        Start point; default all ones on a Euclidean space, as in SciPy, and a random point elsewhere.
    sigma : array_like, optional
        Standard deviations of the data, in a shape that broadcasts to theirs; or, with twice their dimensions, the
        covariance matrix of all data raveled. With ``response``: standard deviations of the distances, ``(N,)``.
        Default: all equal.
    absolute_sigma : bool
        Whether sigma is meant as it stands. Default: only ratios matter, its size is estimated from the residuals.
    jac : callable, optional
        ``jac(x, p)``, the derivative of the model, called like the model; default by differentiation.
    jacobian_type : {"euclidean", "coordinates", "gradients"}
        What ``jac`` returns for m data: partial derivatives ``(m, *embedding_shape)``, derivatives in orthonormal
        coordinates ``(m, dim)``, or Riemannian gradients ``(m, *vector_shape)``.
    response : Manifold, optional
        Where the data live; default: they are numbers. Needs ``log`` and ``get_coordinates``.
    unpack : bool, optional
        Whether the model takes the parts of the point one by one: ``model(x, R, t)`` on a product (the default
        there), ``model(x, a, b, c)`` on a ``Euclidean(3)`` (SciPy's way).
    loss : str, Loss or callable, optional
        Robust loss of each residual divided by sigma, or of each distance; default none.
    f_scale : float, optional
        Scale of a loss given by name: the size, in units of sigma, up to which a residual counts in full.
    fixed, tied : optional
        Variables held at their start values, and variables that are one, see `fix`.
    check_finite : bool
        Whether data that are not finite are an error. Default True.
    autodiff : str
        Source of a missing Jacobian, see `CostObjective`.
    **keywords
        Those of `least_squares`: ``bounds``, ``method``, tolerances, limits, and the keywords of all solvers.

    Returns
    -------
    Result
        ``result.point`` are the parameters, ``result.covariance()`` is SciPy's ``pcov`` (in tangent coordinates, which
        are the parameters on a Euclidean space), ``result.statistics()`` has errors and intervals, and
        ``print(result.report())`` tells all of it.

    Raises
    ------
    ValueError
        When shapes do not fit, data are not finite or not on ``response``, sigma is not positive (definite).
    TypeError
        When the model is no function, or a keyword is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> from manifold_opt import Euclidean, curve_fit
    >>> x = np.linspace(0.0, 2.0, 30)
    >>> y = 3.0 * np.exp(-1.5 * x) + 0.01 * np.cos(50.0 * x)
    >>> result = curve_fit(Euclidean(2), lambda x, p: p[0] * np.exp(-p[1] * x), x, y)
    >>> np.round(result.point, 2), np.round(result.statistics().standard_errors, 3)
    (array([3. , 1.5]), array([0.004, 0.003]))
    """
    if not callable(model):
        raise TypeError(f"`model` must be a function model(x, p); got {model!r}.")
    y = np.asarray(y)
    if y.dtype.kind in "iub":
        y = y.astype(float)
    _check_data(x, y, response, check_finite)
    take = _taken(M, unpack)
    m = y.size if response is None else len(y) * response.dim
    whiten = _whitening(sigma, y.shape if response is None else y.shape[:1], m)
    size = 1 if response is None else response.dim

    def residual(p: Any) -> Any:
        value = model(x, *take(p))
        return whiten(_difference(value, y, response))

    jacobian: Callable[[Any], Any] | None = None
    if jac is not None:
        if response is not None:
            raise ValueError("`jac` is the derivative of numbers: leave it out with `response`.")

        def jacobian(p: Any) -> Any:
            J = np.asarray(jac(x, *take(p)), dtype=float)
            return whiten(J.reshape(m, -1)).reshape(J.shape) if J.shape[:1] == (m,) else J

    objective = NonlinearLeastSquaresObjective(
        residual,
        jacobian,
        jacobian_type=jacobian_type if jac is not None else "coordinates",
        loss=as_loss(loss, f_scale),
        residual_size=size,
        autodiff=autodiff,
    )
    if p0 is None and type(M).__name__ == "Euclidean":
        p0 = np.ones(M.point_shape)
    result = least_squares(M, objective, p0, fixed=fixed, tied=tied, **keywords)
    result.absolute_sigma = bool(absolute_sigma)
    return result


def _check_data(x: Any, y: Any, response: Any, check_finite: bool) -> None:
    if y.size == 0:
        raise ValueError("`y` is empty: there is nothing to fit.")
    if check_finite:
        for name, values in (("x", x), ("y", y)):
            a = np.asarray(values) if isinstance(values, np.ndarray | list | tuple | float) else np.zeros(0)
            if a.dtype.kind in "fc" and not np.isfinite(a).all():
                raise ValueError(f"`{name}` contains {np.count_nonzero(~np.isfinite(a))} values that are not finite.")
    if response is not None:
        if y.shape[1:] != tuple(response.point_shape):
            raise ValueError(f"`y` must have shape (N, *{tuple(response.point_shape)}) on {response!r}; got {y.shape}.")
        try:
            response.check_point(y)
        except ValueError as error:
            raise ValueError(f"`y` must be points of {response!r}: {error}") from None


def _taken(M: Any, unpack: bool | None) -> Callable[[Any], Any]:
    """Arguments of the model for a point."""
    product = hasattr(M, "split")
    if not (product if unpack is None else unpack):
        return lambda p: (p,)
    if product:
        return M.split
    if len(M.point_shape) != 1:
        raise ValueError(f"unpack=True needs a product or a space of vectors; a point of {M!r} has neither parts.")
    n = M.point_shape[0]
    return lambda p: tuple(p[i] for i in range(n))


def _difference(value: Any, y: Any, response: Any) -> Any:
    """Residuals, raveled."""
    if response is None:
        if tuple(np.shape(value)) != y.shape:
            raise ValueError(f"`model` must return the shape of `y`, {y.shape}; it returned {tuple(np.shape(value))}.")
        d = value - y
    else:
        d = response.get_coordinates(y, response.log(y, value))
    return namespace(d).reshape(d, (-1,))


def _whitening(sigma: Any, shape: tuple[int, ...], m: int) -> Callable[[Any], Any]:
    """Division of residuals (m,) or rows (m, d) by their standard deviations."""
    if sigma is None:
        return lambda r: r
    s = np.asarray(sigma, dtype=float)
    n = int(np.prod(shape))
    if s.shape == (n, n) and s.ndim > len(shape):
        if m != n:
            raise ValueError("`sigma` must be standard deviations of the distances, (N,), where `response` is given.")
        try:
            W = np.linalg.inv(np.linalg.cholesky(s))
        except np.linalg.LinAlgError:
            raise ValueError("`sigma`, as a covariance matrix, must be symmetric positive definite.") from None
        return lambda r: W @ r
    try:
        s = np.broadcast_to(s, shape).reshape(-1)
    except ValueError:
        raise ValueError(
            f"`sigma` must have a shape that broadcasts to {shape}, or be a matrix of shape {(n, n)}; got {s.shape}."
        ) from None
    if not (s > 0.0).all() or not np.isfinite(s).all():
        raise ValueError("`sigma` must be positive and finite.")
    w = np.repeat(1.0 / s, m // n)
    return lambda r: r * (w if r.ndim == 1 else w[:, None])
