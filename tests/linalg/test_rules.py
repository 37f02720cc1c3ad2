"""The same derivative rules under JAX and PyTorch, where they are installed."""

import autograd
import autograd.numpy as anp
import numpy as np
import pytest

from manifold_opt import linalg
from manifold_opt.linalg import frames, namespace, rotation_log, skew, skew_exp, sym
from manifold_opt.linalg.increments import cholesky_increment, log_difference, sqrt_increment
from manifold_opt.linalg.pair_functions import pair_function

A = np.random.default_rng(0).standard_normal((3, 3))
CASES = {
    "symmetric_log": (linalg.symmetric_log, A @ A.T + np.eye(3)),
    "symmetric_exp at a triple eigenvalue": (linalg.symmetric_exp, np.eye(3)),
    "skew_exp": (skew_exp, A),
    "skew_exp of zero": (skew_exp, np.zeros((4, 4))),
    "log of exp": (lambda X: rotation_log(skew_exp(X)), 0.3 * A),
    "log at the identity": (rotation_log, np.eye(4)),
    "cholesky": (linalg.cholesky, A @ A.T + np.eye(3)),
    "qf": (linalg.qf, A),
    "polar": (linalg.polar, A),
    "lyapunov": (lambda S: linalg.lyapunov(S, S @ namespace(S).asarray(A)), A @ A.T + np.eye(3)),
    "cosc": (linalg.cosc, A),
    "log_difference": (lambda S: log_difference(S, S @ S), A @ A.T + np.eye(3)),
    "cholesky_increment": (cholesky_increment, A @ A.T),
    "sqrt_increment": (lambda S: sqrt_increment(S, S @ S + S), A @ A.T + np.eye(3)),
    "svec": (linalg.svec, A),
}


def cost(xp, f):
    return lambda x: xp.sum((f(x) + 0.3) ** 3)


@pytest.fixture
def jax():
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    return jax


@pytest.mark.parametrize("name", CASES)
def test_jax(name, jax):
    f, x = CASES[name]
    E = skew(A) if x.shape == (3, 3) and "exp" in name else sym(np.ones(x.shape))
    own, theirs = cost(anp, f), cost(jax.numpy, f)
    np.testing.assert_allclose(jax.jit(theirs)(x), own(x), rtol=1e-13)
    np.testing.assert_allclose(jax.jit(jax.grad(theirs))(x), autograd.grad(own)(x), rtol=1e-11, atol=1e-12)
    product = autograd.hessian_vector_product(own)(x, E)
    near = dict(rtol=1e-10, atol=1e-11)
    np.testing.assert_allclose(jax.jvp(jax.grad(theirs), (x,), (E,))[1], product, **near)
    np.testing.assert_allclose(jax.grad(lambda x: jax.numpy.sum(jax.grad(theirs)(x) * E))(x), product, **near)
    along = jax.jvp(lambda x: jax.jvp(theirs, (x,), (E,))[1], (x,), (E,))[1]
    np.testing.assert_allclose(along, np.sum(product * E), **near)
    batch = jax.vmap(jax.grad(theirs))(np.stack([x, x]))
    np.testing.assert_allclose(batch[1], autograd.grad(own)(x), **near)


@pytest.mark.parametrize("name", CASES)
def test_torch(name):
    torch = pytest.importorskip("torch")
    f, x = CASES[name]
    E = skew(A) if x.shape == (3, 3) and "exp" in name else sym(np.ones(x.shape))
    own, theirs = cost(anp, f), cost(torch, f)
    t = torch.tensor(x, requires_grad=True)
    value = theirs(t)
    np.testing.assert_allclose(value.detach().numpy(), own(x), rtol=1e-13)
    (gradient,) = torch.autograd.grad(value, t, create_graph=True)
    np.testing.assert_allclose(gradient.detach().numpy(), autograd.grad(own)(x), rtol=1e-11, atol=1e-12)
    (product,) = torch.autograd.grad(torch.sum(gradient * torch.tensor(E)), t)
    np.testing.assert_allclose(
        product.numpy(), autograd.hessian_vector_product(own)(x, E), rtol=1e-10, atol=1e-11
    )


Z = A + 1j * np.random.default_rng(1).standard_normal((3, 3))
HERMITIAN = Z @ Z.conj().T + np.eye(3)
COMPLEX_CASES = {
    "solve": (lambda X: linalg.solve(X, X @ X + X), Z),
    "cholesky": (linalg.cholesky, HERMITIAN),
    "function of a Hermitian matrix": (frames.hermitian_sqrt, HERMITIAN),
    "exponential": (frames.matrix_exp, 0.3 * Z),
    "Sylvester": (lambda X: frames.general_sylvester(X, X, X @ X + X), HERMITIAN),
    "polar": (frames.frame_polar, Z),
    "pairs": (lambda X: pair_function(X, X @ X + X, name="sqrt"), HERMITIAN),
    "sqrt_increment": (lambda X: sqrt_increment(X, X @ X + X), HERMITIAN),
}


@pytest.mark.parametrize("name", COMPLEX_CASES)
def test_torch_takes_cotangents_of_complex_matrices_unconjugated(name):
    """A gradient G with df = Re <G, dX>, which autograd returns conjugated; with rules for both, it was wrong once."""
    torch = pytest.importorskip("torch")
    f, x = COMPLEX_CASES[name]
    W = np.random.default_rng(2).standard_normal((3, 3, 2))
    own = lambda x: anp.sum(anp.real(f(x)) * W[..., 0] + anp.imag(f(x)) * W[..., 1])
    expected = np.conj(autograd.grad(own)(x))
    t = torch.tensor(x, requires_grad=True)
    value = torch.sum(torch.view_as_real(f(t)) * torch.tensor(W))
    (gradient,) = torch.autograd.grad(value, t)
    np.testing.assert_allclose(gradient.numpy(), expected, rtol=1e-11, atol=1e-12)
    # and both agree with differences
    E = np.random.default_rng(3).standard_normal((3, 3, 2)) @ [1.0, 1j]
    E = E + E.conj().T if name != "solve" else E
    h = 1e-6
    slope = (own(x + h * E) - own(x - h * E)) / (2 * h)
    assert np.sum(np.real(np.conj(expected) * E)) == pytest.approx(slope, rel=1e-6)
