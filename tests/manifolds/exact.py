"""Logarithms, distances and exponentials in 50 digits, written from the definitions and from nothing of the package."""

from __future__ import annotations

import mpmath as mp
import numpy as np

mp.mp.dps = 50


def lifted(a):
    """An array of 50-digit numbers with the exact values of the floats."""
    return np.vectorize(lambda x: mp.mpf(float(x)), otypes=[object])(a)


def _length(x):
    return mp.sqrt(sum(v * v for v in x.flat))


# ---------------- sphere


def sphere_log(p, q):
    p, q = (a / _length(a) for a in (lifted(p), lifted(q)))
    c = p.dot(q)
    Y = q - c * p
    s = _length(Y)
    angle = mp.atan2(s, c)
    return angle / s * Y, angle


def sphere_exp(p, X):
    p, X = lifted(p), lifted(X)
    p = p / _length(p)
    X = X - p.dot(X) * p
    t = _length(X)
    return mp.cos(t) * p + mp.sin(t) / t * X


# ---------------- rotations of R^3


def _nearest_rotation(A):
    """Newton's iteration for the polar factor."""
    return _nearest_rotation_of(mp.matrix(lifted(A).tolist()))


def _nearest_rotation_of(A):
    for _ in range(60):
        B = (A + (A**-1).T) / 2
        if mp.mnorm(B - A) < mp.mpf(10) ** -48:
            return B
        A = B
    raise ArithmeticError("no polar factor")


def _array(A):
    return np.array(A.tolist(), dtype=object).reshape(A.rows, A.cols)


def rotation_log(p, q):
    """The skew logarithm of p'q and the angle."""
    R = _nearest_rotation(p).T * _nearest_rotation(q)
    S = (R - R.T) / 2
    sine = mp.sqrt(S[2, 1] ** 2 + S[0, 2] ** 2 + S[1, 0] ** 2)
    angle = mp.atan2(sine, (R[0, 0] + R[1, 1] + R[2, 2] - 1) / 2)
    return _array(S * (angle / sine)), angle


def rotation_exp(p, X):
    """The point p exp(X) by Rodrigues' formula."""
    P = _nearest_rotation(p)
    S = lifted(X)
    S = mp.matrix(((S - S.T) / 2).tolist())
    t = mp.sqrt(S[2, 1] ** 2 + S[0, 2] ** 2 + S[1, 0] ** 2)
    return _array(P * (mp.eye(3) + S * (mp.sin(t) / t) + S * S * ((1 - mp.cos(t)) / t**2)))


# ---------------- positive definite matrices


def _function(A, f):
    values, Q = mp.eigsy(A)
    return Q * mp.diag([f(x) for x in values]) * Q.T


def _symmetric(A):
    A = lifted(A)
    return mp.matrix(((A + A.T) / 2).tolist())


def spd_log(p, q):
    P, Q = _symmetric(p), _symmetric(q)
    root, inverse = _function(P, mp.sqrt), _function(P, lambda x: 1 / mp.sqrt(x))
    L = _function(inverse * Q * inverse, mp.log)
    return _array(root * L * root), mp.mnorm(L, "f")


def spd_exp(p, X):
    P, X = _symmetric(p), _symmetric(X)
    root, inverse = _function(P, mp.sqrt), _function(P, lambda x: 1 / mp.sqrt(x))
    return _array(root * _function(inverse * X * inverse, mp.exp) * root)


# ---------------- other metrics of positive definite matrices


def _sum_of_squares(A):
    return sum(A[i, j] ** 2 for i in range(A.rows) for j in range(A.cols))


def _slopes(w, f, slope):
    """The divided differences of a function; in 50 digits the definition will do."""
    n = len(w)
    return [[slope(w[i]) if w[i] == w[j] else (f(w[i]) - f(w[j])) / (w[i] - w[j]) for j in range(n)] for i in range(n)]


def log_euclidean_log(p, q):
    P = _symmetric(p)
    D = _function(_symmetric(q), mp.log) - _function(P, mp.log)
    values, Q = mp.eigsy(P)
    slopes, n = _slopes(values, mp.log, lambda x: 1 / x), len(values)
    E = Q.T * D * Q
    X = Q * mp.matrix([[E[i, j] / slopes[i][j] for j in range(n)] for i in range(n)]) * Q.T
    return _array(X), mp.sqrt(_sum_of_squares(D))


def log_euclidean_exp(p, X):
    P = _symmetric(p)
    values, Q = mp.eigsy(P)
    slopes, n = _slopes(values, mp.log, lambda x: 1 / x), len(values)
    E = Q.T * _symmetric(X) * Q
    D = Q * mp.matrix([[E[i, j] * slopes[i][j] for j in range(n)] for i in range(n)]) * Q.T
    return _array(_function(_function(P, mp.log) + D, mp.exp))


def log_cholesky_log(p, q):
    L, K = mp.cholesky(_symmetric(p)), mp.cholesky(_symmetric(q))
    n = L.rows
    W, c = K - L, K - L
    for i in range(n):
        c[i, i] = mp.log(K[i, i] / L[i, i])
        W[i, i] = L[i, i] * c[i, i]
    return _array(W * L.T + L * W.T), mp.sqrt(_sum_of_squares(c))


def log_cholesky_exp(p, X):
    L = mp.cholesky(_symmetric(p))
    inverse, n = L**-1, L.rows
    S = inverse * _symmetric(X) * inverse.T
    for i in range(n):
        S[i, i] /= 2
        for j in range(i + 1, n):
            S[i, j] = mp.mpf(0)
    W = L * S
    K = L + W
    for i in range(n):
        K[i, i] = L[i, i] * mp.exp(W[i, i] / L[i, i])
    return _array(K * K.T)


def bures_wasserstein_log(p, q):
    P, Q = _symmetric(p), _symmetric(q)
    root, inverse = _function(P, mp.sqrt), _function(P, lambda x: 1 / mp.sqrt(x))
    T = inverse * _function(root * Q * root, mp.sqrt) * inverse
    S = T - mp.eye(P.rows)
    return _array(S * P + P * S), mp.sqrt(_sum_of_squares(S * root))


def bures_wasserstein_exp(p, X):
    P = _symmetric(p)
    values, Q = mp.eigsy(P)
    E, n = Q.T * _symmetric(X) * Q, P.rows
    S = Q * mp.matrix([[E[i, j] / (values[i] + values[j]) for j in range(n)] for i in range(n)]) * Q.T
    T = mp.eye(n) + S
    return _array(T * P * T)


# ---------------- positive definite matrices of determinant 1


def special_positive_definite_log(p, q):
    P, Q = _symmetric(p), _symmetric(q)
    P, Q = P / mp.root(mp.det(P), P.rows), Q / mp.root(mp.det(Q), Q.rows)
    root, inverse = _function(P, mp.sqrt), _function(P, lambda x: 1 / mp.sqrt(x))
    L = _function(inverse * Q * inverse, mp.log)
    return _array(root * L * root), mp.mnorm(L, "f")


# ---------------- correlation matrices


def _unit_lower(P):
    L = mp.cholesky(P)
    for i in range(L.rows):
        d = L[i, i]
        for j in range(i + 1):
            L[i, j] /= d
    return L


def _with_unit_diagonal(P):
    n = P.rows
    return mp.matrix([[P[i, j] / mp.sqrt(P[i, i] * P[j, j]) for j in range(n)] for i in range(n)])


def correlation_log(p, q):
    """The derivative of C(G + t D) at t = 0, C the matrix of cosines of the rows."""
    P, Q = _with_unit_diagonal(_symmetric(p)), _with_unit_diagonal(_symmetric(q))
    G = _unit_lower(P)
    D = _unit_lower(Q) - G
    n = P.rows
    L, dL = G.copy(), G.copy()
    for i in range(n):
        size = mp.sqrt(sum(G[i, j] ** 2 for j in range(n)))
        along = sum(G[i, j] * D[i, j] for j in range(n)) / size**2
        for j in range(n):
            L[i, j] = G[i, j] / size
            dL[i, j] = (D[i, j] - G[i, j] * along) / size
    return _array(dL * L.T + L * dL.T), mp.sqrt(_sum_of_squares(D))


def correlation_exp(p, X):
    """The chart moved by the derivative of the chart along X, which differences with 25 digits to spare give."""
    P = _symmetric(p)
    G = _unit_lower(P)
    with mp.workdps(100):
        h = mp.mpf(10) ** -25
        slope = (_unit_lower(P + h * _symmetric(X)) - _unit_lower(P - h * _symmetric(X))) / (2 * h)
    K = G + slope
    return _array(_with_unit_diagonal(K * K.T))


# ---------------- factors of positive semidefinite matrices


def _polar(A):
    """The orthogonal factor of a square matrix, by Newton's iteration."""
    for _ in range(200):
        B = (A + (A**-1).T) / 2
        if mp.mnorm(B - A) < mp.mpf(10) ** -45:
            return B
        A = B
    raise ArithmeticError("no polar factor")


def _matrix(a):
    return mp.matrix(lifted(a).tolist())


def psd_fixed_rank_log(p, q):
    Y, Z = _matrix(p), _matrix(q)
    X = Z * _polar(Z.T * Y) - Y
    return _array(X), mp.sqrt(_sum_of_squares(X))


def spectrahedron_log(p, q):
    Y, Z = _matrix(p), _matrix(q)
    Y, Z = Y / mp.sqrt(_sum_of_squares(Y)), Z / mp.sqrt(_sum_of_squares(Z))
    Z = Z * _polar(Z.T * Y)
    c = sum(Y[i, j] * Z[i, j] for i in range(Y.rows) for j in range(Y.cols))
    T = Z - c * Y
    s = mp.sqrt(_sum_of_squares(T))
    angle = mp.atan2(s, c)
    return _array(T * (angle / s)), angle


def elliptope_log(p, q):
    """Great circles of the rows to the turn of q for which they are horizontal, by iteration to 40 digits."""
    Y, Z = _matrix(p), _matrix(q)
    n, k = Y.rows, Y.cols

    def rows_dot(A, B):
        return [sum(A[i, j] * B[i, j] for j in range(k)) for i in range(n)]

    for A in (Y, Z):
        for i, s in enumerate(rows_dot(A, A)):
            for j in range(k):
                A[i, j] /= mp.sqrt(s)
    weights, Q = [mp.mpf(1)] * n, mp.eye(k)
    for _ in range(500):
        before, Q = Q, _polar(Z.T * mp.diag(weights) * Y)
        T = Z * Q
        cosines = rows_dot(Y, T)
        T = T - mp.diag(cosines) * Y
        sines = [mp.sqrt(x) for x in rows_dot(T, T)]
        weights = [mp.atan2(s, c) / s for s, c in zip(sines, cosines, strict=True)]
        if mp.mnorm(Q - before) < mp.mpf(10) ** -40:
            X = mp.diag(weights) * T
            return _array(X), mp.sqrt(_sum_of_squares(X))
    raise ArithmeticError("the iteration does not settle")
