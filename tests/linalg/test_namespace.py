"""The array namespace of arguments, and batch axes."""

import autograd
import autograd.numpy as anp
import numpy as np
import pytest

from manifold_opt.linalg import adjoint, broadcast_batch, is_numpy, namespace, transpose


def test_numbers_lists_and_arrays_are_numpy():
    assert namespace() is np
    assert namespace(np.zeros(2), 1.0, [1, 2], np.float32(2), None) is np
    assert namespace(np.zeros(2).view(np.matrix)) is np


def test_boxes_are_autograd_also_when_mixed_with_arrays():
    found = []

    def f(x):
        found.append((namespace(x), namespace(np.ones(2), x), is_numpy(np.ones(2), x)))
        return anp.sum(x)

    autograd.grad(f)(np.ones(2))
    assert found == [(anp, anp, False)]
    assert is_numpy(np.ones(2), np.zeros(()))


def test_jax_and_torch_are_found_by_their_types():
    jax = pytest.importorskip("jax")
    assert namespace(jax.numpy.ones(2)) is jax.numpy
    assert jax.jit(lambda x: (namespace(x) is jax.numpy) * x)(2.0) == 2.0


def test_torch_names_follow_numpy():
    torch = pytest.importorskip("torch")
    x = torch.arange(6.0).reshape(2, 3)
    xp = namespace(np.ones(2), x)
    assert xp.max(x, axis=-1).tolist() == [2.0, 5.0]
    assert xp.min(x, axis=-1, keepdims=True).tolist() == [[0.0], [3.0]]
    assert xp.maximum(x, 2.5)[0].tolist() == [2.5, 2.5, 2.5]
    assert xp.sum(x, axis=0).tolist() == [3.0, 5.0, 7.0]
    assert xp.arctan2(x, 1.0).shape == x.shape


def test_libraries_that_cannot_mix_are_an_error():
    jax = pytest.importorskip("jax")
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match="cannot be mixed"):
        namespace(jax.numpy.ones(2), torch.ones(2))


def test_transposes_and_batches():
    A = np.arange(12.0).reshape(2, 2, 3) + 1j
    np.testing.assert_array_equal(transpose(A), np.swapaxes(A, 1, 2))
    np.testing.assert_array_equal(adjoint(A), np.swapaxes(A, 1, 2).conj())
    x, y = broadcast_batch(1, np.ones((4, 1, 3)), np.ones((5, 2)))
    assert x.shape == (4, 5, 3) and y.shape == (4, 5, 2)
    same = np.ones((2, 3))
    assert broadcast_batch(1, same, same)[0] is same
