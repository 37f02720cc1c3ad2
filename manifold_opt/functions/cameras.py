r"""Cameras: what a camera with a pose and a lens sees of a point, and the derivatives in tangent coordinates.

A world point X stands at P = R X + t in the frame of the camera, at depth z = axis P_z before it. With

    (a, b) = (P_x, P_y) / z,    s = a^2 + b^2,    d = 1 + k1 s + k2 s^2 + k3 s^3,

it is seen at the pixel

    f (a d + 2 p1 a b + p2 (s + 2 a^2), b d + p1 (s + 2 b^2) + 2 p2 a b) + (cx, cy).

A tangent vector of SE(3) with coordinates (w, v) moves P by R (w x X + v), and a move x of the point by R x. So with G
the 2 x 3 derivative of the pixel by P, the rows g of G R are the derivatives by v and by x, and X x g are those by w.

References
----------
.. [1] D. C. Brown, Close-range camera calibration, Photogrammetric Engineering 37 (1971), 855-866.
.. [2] S. Agarwal, N. Snavely, S. M. Seitz, R. Szeliski, Bundle adjustment in the large, ECCV 2010, and the description
   of its files (f, k1, k2; the camera looks along -z).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..linalg import namespace

LENS = ("f", "cx", "cy", "k1", "k2", "k3", "p1", "p2")
"""Names of the numbers that describe a lens."""


@dataclass(frozen=True)
class CameraModel:
    """A camera with a lens of Brown's kind, of which some numbers are variable and the others constant.

    Parameters
    ----------
    lens : sequence of str
        The variable ones among "f", "cx", "cy", "k1", "k2", "k3", "p1", "p2", in the order in which they are given to
        the methods. An empty one is a calibrated camera.
    constants : mapping of str to float
        Values of others; what is not named is 1 for "f" and 0 else.
    axis : {1, -1}
        Whether the camera looks along +z (computer vision) or -z (BAL, Bundler, OpenGL).
    least_depth : float, optional
        The rule for points behind the camera. None: the formula as it stands, which mirrors them through the center, as
        BAL, Ceres and Bundler do; a depth of exactly zero counts as the least positive number of the type's precision,
        so that nothing is ever NaN. A positive number: below this depth 1 / z is continued by its tangent,
        (2 least_depth - z) / least_depth^2, so that the pixel moves away without bound, with a continuous derivative
        that pushes the point to the front.

    Raises
    ------
    ValueError
        On unknown names, one that is both variable and constant, or a number that makes no sense.

    Examples
    --------
    >>> import numpy as np
    >>> from manifold_opt import SpecialEuclidean
    >>> from manifold_opt.functions import CameraModel
    >>> camera = CameraModel(("f",), {"cx": 320.0, "cy": 240.0})
    >>> camera.pixels(SpecialEuclidean(3).identity(), np.array([500.0]), np.array([0.1, 0.2, 2.0]))
    array([345., 290.])
    """

    lens: tuple[str, ...] = ("f", "k1", "k2")
    constants: Any = ()
    axis: int = 1
    least_depth: float | None = None

    def __post_init__(self) -> None:
        lens = (self.lens,) if isinstance(self.lens, str) else tuple(self.lens)
        given = dict(self.constants.items() if isinstance(self.constants, Mapping) else self.constants)
        for field, names in (("lens", lens), ("constants", tuple(given))):
            unknown = [name for name in names if name not in LENS]
            if unknown:
                raise ValueError(f"`{field}` names {unknown[0]!r}; a lens has {', '.join(map(repr, LENS))}.")
        twice = [name for name in lens if name in given or lens.count(name) > 1]
        if twice:
            raise ValueError(f"{twice[0]!r} must be named once, in `lens` or in `constants`.")
        if not all(math.isfinite(value) for value in given.values()):
            raise ValueError(f"`constants` must be finite; got {given!r}.")
        if self.axis not in (1, -1):
            raise ValueError(f"`axis` must be 1 (the camera looks along +z) or -1 (along -z); got {self.axis!r}.")
        if self.least_depth is not None and not 0.0 < self.least_depth < math.inf:
            raise ValueError(f"`least_depth` must be positive and finite, or None; got {self.least_depth!r}.")
        object.__setattr__(self, "lens", lens)
        object.__setattr__(self, "constants", tuple((name, float(value)) for name, value in given.items()))

    def depth(self, pose: Any, X: Any) -> Any:
        """How far before the camera a point is; negative behind it.

        Parameters
        ----------
        pose : array of shape (*batch, 12)
            Points of ``SpecialEuclidean(3)``: R by rows, then t.
        X : array of shape (*batch, 3)

        Returns
        -------
        array of shape (*batch,)
        """
        r, x = entries(pose), entries(X)
        return self.axis * _row(r, 2, x)

    def pixels(self, pose: Any, lens: Any, X: Any) -> Any:
        """Where points are seen.

        Parameters
        ----------
        pose : array of shape (*batch, 12)
            Points of ``SpecialEuclidean(3)``: R by rows, then t.
        lens : array of shape (*batch, len(self.lens))
            The variable numbers; None where there are none.
        X : array of shape (*batch, 3)

        Returns
        -------
        array of shape (*batch, 2)
        """
        if X.ndim == 2 and all(type(x) in (np.ndarray, type(None)) for x in (pose, lens, X)):
            out = np.empty((2, len(X)), np.result_type(pose, X))
            for part in _pieces(len(X)):
                out[0, part], out[1, part] = self._pixels(pose[part], None if lens is None else lens[part], X[part])
            return out.T
        px, py = self._pixels(pose, lens, X)
        return namespace(px, py).stack([px, py], axis=-1)

    def _pixels(self, pose: Any, lens: Any, X: Any) -> tuple[Any, Any]:
        """The two coordinates of `pixels`."""
        r, x, c = entries(pose), entries(X), self._numbers(lens)
        u, v, w = (_row(r, i, x) for i in range(3))
        q = self._inverse_depth(w)
        px, py = _distorted(u * q, v * q, c)[:2]
        f = c["f"]
        px, py = f * px, f * py
        if "cx" in c:
            px = px + c["cx"]
        if "cy" in c:
            py = py + c["cy"]
        return px, py

    def derivatives(self, pose: Any, lens: Any, X: Any) -> tuple[Any, Any]:
        """Derivatives of the pixels by camera and point.

        Parameters
        ----------
        pose, lens, X : array
            See `pixels`; NumPy arrays with one batch axis of length N.

        Returns
        -------
        by_camera : array of shape (N, 2, 6 + len(self.lens))
            By the coordinates (rotation, translation) of ``SpecialEuclidean(3)`` and by the numbers of the lens.
        by_point : array of shape (N, 2, 3)
            Both are parts of one array, camera before point, with the instances next to each other in memory.
        """
        end = 6 + len(self.lens)
        both = np.empty((2, end + 3, len(X)), np.result_type(pose, X))
        for part in _pieces(len(X)):
            self._derive(pose[part], None if lens is None else lens[part], X[part], both[:, :, part])
        return both[:, :end].transpose(2, 0, 1), both[:, end:].transpose(2, 0, 1)

    def _derive(self, pose: Any, lens: Any, X: Any, both: Any) -> None:
        """Fill ``both``, (2, 6 + len(self.lens) + 3, N)."""
        r, x, c = entries(pose), entries(X), self._numbers(lens)
        u, v, w = (_row(r, i, x) for i in range(3))
        q = self._inverse_depth(w)
        dq = self._inverse_depth_derivative(w, q)
        a, b = u * q, v * q
        da, db, s = _distorted(a, b, c)
        aa, ab, bb = _distorted_derivatives(a, b, s, c)
        f = c["f"]
        aa, ab, bb = f * aa, f * ab, f * bb
        udq, vdq = u * dq, v * dq
        # rows of the derivative by P
        rows = (
            (aa * q, ab * q, aa * udq + ab * vdq),
            (ab * q, bb * q, ab * udq + bb * vdq),
        )
        end = 6 + len(self.lens)
        for J, (g0, g1, g2) in zip(both, rows, strict=True):
            gx, gy, gz = (g0 * r[k] + g1 * r[3 + k] + g2 * r[6 + k] for k in range(3))
            J[0], J[1], J[2] = x[1] * gz - x[2] * gy, x[2] * gx - x[0] * gz, x[0] * gy - x[1] * gx
            J[3], J[4], J[5] = J[end], J[end + 1], J[end + 2] = gx, gy, gz
        for k, name in enumerate(self.lens):
            both[:, 6 + k] = _by_lens(name, a, b, s, f, da, db)

    def _numbers(self, lens: Any) -> dict[str, Any]:
        """Values of all numbers of the lens that may differ from zero, f included."""
        values: dict[str, Any] = {"f": 1.0, **{name: value for name, value in self.constants if value != 0.0}}
        if self.lens:
            values.update(zip(self.lens, entries(lens), strict=True))
        return values

    def _inverse_depth(self, w: Any) -> Any:
        """1 / z, continued for points behind; z = axis w."""
        xp = namespace(w)
        z = self.axis * w
        least = self.least_depth
        if least is not None:
            safe = xp.where(z > least, z, least)
            return xp.where(z > least, 1.0 / safe, (2.0 * least - z) / least**2)
        if type(z) is np.ndarray:
            return 1.0 / z if z.all() else 1.0 / np.where(z == 0.0, np.finfo(z.dtype).eps, z)
        return 1.0 / xp.where(z == 0.0, np.finfo(float).eps, z)

    def _inverse_depth_derivative(self, w: Any, q: Any) -> Any:
        """Derivative of `_inverse_depth` by w."""
        if self.least_depth is None:
            return -self.axis * q * q
        least = self.least_depth
        return -self.axis * np.where(self.axis * w > least, q * q, 1.0 / least**2)


# so many instances at a time that their numbers stay in the cache between one operation and the next
_AT_A_TIME = 16_384


def _pieces(n: int) -> list[slice]:
    return [slice(a, min(a + _AT_A_TIME, n)) for a in range(0, n, _AT_A_TIME)]


def entries(x: Any) -> Any:
    """The entries of arrays ``(*batch, k)`` one by one: k arrays over the batch, contiguous for NumPy."""
    if type(x) is np.ndarray:
        return np.ascontiguousarray(np.moveaxis(x, -1, 0))
    return [x[..., k] for k in range(x.shape[-1])]


def _row(r: Any, i: int, x: Any) -> Any:
    """The i-th entry of R X + t."""
    return r[3 * i] * x[0] + r[3 * i + 1] * x[1] + r[3 * i + 2] * x[2] + r[9 + i]


def _distorted(a: Any, b: Any, c: dict[str, Any]) -> tuple[Any, Any, Any]:
    """The point (a, b) of the ideal picture after distortion, and s."""
    s = a * a + b * b
    d = _polynomial(s, [(name, 1.0) for name in ("k1", "k2", "k3")], c)
    x, y = (a, b) if d is None else (a + a * (s * d), b + b * (s * d))
    if "p1" in c:
        x, y = x + 2.0 * c["p1"] * a * b, y + c["p1"] * (s + 2.0 * b * b)
    if "p2" in c:
        x, y = x + c["p2"] * (s + 2.0 * a * a), y + 2.0 * c["p2"] * a * b
    return x, y, s


def _distorted_derivatives(a: Any, b: Any, s: Any, c: dict[str, Any]) -> tuple[Any, Any, Any]:
    """Entries of the symmetric derivative of the distorted point by (a, b)."""
    d = _polynomial(s, [(name, 1.0) for name in ("k1", "k2", "k3")], c)
    if d is None:
        aa = bb = 1.0 + 0.0 * s
        ab = 0.0 * s
    else:
        slope = _polynomial(s, [("k1", 2.0), ("k2", 4.0), ("k3", 6.0)], c)  # twice the derivative of s d by s
        d = 1.0 + s * d
        sa = slope * a
        aa, ab, bb = d + sa * a, sa * b, d + slope * b * b
    if "p1" in c:
        p1 = c["p1"]
        aa, ab, bb = aa + 2.0 * p1 * b, ab + 2.0 * p1 * a, bb + 6.0 * p1 * b
    if "p2" in c:
        p2 = c["p2"]
        aa, ab, bb = aa + 6.0 * p2 * a, ab + 2.0 * p2 * b, bb + 2.0 * p2 * a
    return aa, ab, bb


def _polynomial(s: Any, terms: list[tuple[str, float]], c: dict[str, Any]) -> Any:
    """Sum of factor c[name] s^j over the terms, j = 0, 1, ...; None where all c are zero."""
    value: Any = None
    for name, factor in reversed(terms):
        if value is not None:
            value = s * value
        if name in c:
            term = factor * c[name] if factor != 1.0 else c[name]
            value = term if value is None else value + term
    return value


def _by_lens(name: str, a: Any, b: Any, s: Any, f: Any, x: Any, y: Any) -> tuple[Any, Any]:
    """Derivatives of the two pixel coordinates by a number of the lens; (x, y) is the distorted point."""
    zero = 0.0 * s
    if name in ("k1", "k2", "k3"):
        fs = f * s ** int(name[1])
        return fs * a, fs * b
    return {
        "f": lambda: (x, y),
        "cx": lambda: (zero + 1.0, zero),
        "cy": lambda: (zero, zero + 1.0),
        "p1": lambda: (2.0 * f * a * b, f * (s + 2.0 * b * b)),
        "p2": lambda: (f * (s + 2.0 * a * a), 2.0 * f * a * b),
    }[name]()
