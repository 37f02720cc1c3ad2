"""Low rank and shapes on PyTorch and JAX arrays, where they are installed: the same numbers, and gradients of costs."""

import numpy as np
import pytest

from manifold_opt.manifolds import FixedRank, FixedRankFactors, KendallShape, PreShape, TensorTrain, Tucker
from manifold_opt.testing.samples import Sample, calls, sample

MANIFOLDS = [
    FixedRank(5, 4, 2),
    FixedRankFactors(5, 4, 2),
    Tucker((4, 3, 3), (2, 2, 2)),
    TensorTrain((3, 2, 3), (2, 2)),
    KendallShape(4, 2),
    KendallShape(5, 3),
    PreShape(4, 2),
]


@pytest.mark.parametrize("M", MANIFOLDS, ids=repr)
@pytest.mark.parametrize("size", [(), (3,)], ids=["one", "batch"])
def test_values_on_torch(M, size):
    torch = pytest.importorskip("torch")
    s = sample(M, 0, size)
    t = Sample(**{name: torch.as_tensor(np.array(value)) for name, value in vars(s).items()})
    for call in calls(M):
        # general fallbacks of the interface are for NumPy arrays
        own = call.operation in M.operations | {"retract", "inverse_retract", "vector_transport_to"}
        if own and call.method != "iterative":
            np.testing.assert_allclose(np.asarray(call(M, t)), call(M, s), atol=1e-12, err_msg=call.label)


def test_gradient_on_torch():
    torch = pytest.importorskip("torch")
    M = FixedRank(5, 4, 2)
    p = M.random_point(0)
    target = np.random.default_rng(1).standard_normal((5, 4))

    def f(q):
        U, S, V = M.split(q)
        return ((U @ S @ V.T - torch.as_tensor(target)) ** 2).sum()

    q = torch.as_tensor(p).requires_grad_()
    g = torch.autograd.grad(f(q), q)[0].numpy()
    expected = M.riemannian_gradient(p, 2.0 * (M.embed_point(p) - target))
    np.testing.assert_allclose(M.riemannian_gradient_from_storage(p, g), expected, atol=1e-13)


def test_values_on_jax():
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    M = FixedRank(5, 4, 2)
    p = M.random_point(0)
    X = 0.2 * M.random_vector(p, 1)
    to = jax.numpy.asarray
    q = M.retract(p, X)
    np.testing.assert_allclose(M.vector_transport_to(to(p), to(X), to(q)), M.vector_transport_to(p, X, q), atol=1e-12)
