"""A matrix of a million entries and rank 8 from the 5 % of them that are seen, exactly and with noise.

Only the entries that are seen, and thin factors, are ever stored. Independent: entries that were not seen, and the
error that least squares with known row and column spaces cannot be below.
"""

import numpy as np
import scipy.sparse as sp

from manifold_opt import FixedRank, conjugate_gradient_descent, trust_regions

rng = np.random.default_rng(5)
m, n, k = 1000, 1000, 8
M = FixedRank(m, n, k)
left, right = rng.standard_normal((m, k)), rng.standard_normal((n, k))
seen, unseen = np.split(rng.choice(m * n, 60_000, replace=False), [50_000])
rows, columns = np.divmod(np.sort(seen), n)
pattern = sp.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(m, n))


def matrix(values):
    """The sparse matrix with these values where entries are seen."""
    return sp.csr_matrix((values, pattern.indices, pattern.indptr), shape=(m, n))


def exact(i, j):
    """Entries of the matrix to be found."""
    return np.einsum("ij,ij->i", left[i], right[j])


def problem(b):
    """Half of the sum of squares at the entries seen, its Euclidean gradient and Hessian, and a start."""

    def f(p):
        r = M.entries(p, rows, columns) - b
        return 0.5 * float(r @ r)

    def gradient(p):
        return matrix(M.entries(p, rows, columns) - b)

    def hessian(p, X):
        return matrix(X.entries(rows, columns))

    p0 = M.project_point(matrix(b * (m * n / len(b))))
    return dict(f=f, p0=p0, gradient=gradient, objective_type="euclidean"), hessian


def error(p):
    """Relative error at entries that were not seen."""
    i, j = np.divmod(unseen, n)
    return np.linalg.norm(M.entries(p, i, j) - exact(i, j)) / np.linalg.norm(exact(i, j))


b = exact(rows, columns)
keywords, hessian = problem(b)
goal = 1e-9 * float(np.linalg.norm(b))
second = trust_regions(M, **keywords, hessian=hessian, tolerance=goal)
first = conjugate_gradient_descent(M, **keywords, tolerance=goal, max_iterations=300)
for name, result in {"trust regions": second, "conjugate gradients": first}.items():
    print(f"{name}: {result.iterations} iterations, {result.time:.2f} s, error elsewhere {error(result.point):.1e}")
    assert result.converged and error(result.point) < 1e-7
assert second.evaluations["gradient"] < first.evaluations["gradient"]

noise = 0.1
keywords, hessian = problem(b + noise * rng.standard_normal(len(b)))
noisy = trust_regions(M, **keywords, hessian=hessian, tolerance=1e-6)
# of the noise at the entries seen, what dim M of their number of directions let through
expected = noise * np.sqrt(M.dim / len(b)) / np.sqrt(k)
print(f"noise {noise}: error elsewhere {error(noisy.point):.4f}, of the order of {expected:.4f}")
assert noisy.converged and error(noisy.point) < 2.0 * expected
