"""Points of low rank in other frames than those that `project_point` returns, where many a matrix is diagonal."""

from dataclasses import dataclass

import numpy as np
import pytest

from manifold_opt.manifolds import FixedRank, FixedRankFactors, TensorTrain, Tucker
from manifold_opt.testing import (
    check_coordinates,
    check_embedding,
    check_gradient_conversion,
    check_hessian_conversion,
    check_inverse_retractions,
    check_transports,
    check_weingarten,
)


class Turned:
    """Random points are moved, and the frames of nearest points are no longer theirs."""

    def random_point(self, rng=None, size=()):
        rng = np.random.default_rng(rng)
        p = super().random_point(rng, size)
        return self.retract(p, self.random_vector(p, rng) / np.sqrt(self.dim))

    def has(self, name):
        return name != "project_point" and super().has(name)


@dataclass(frozen=True, repr=False)
class TurnedFixedRank(Turned, FixedRank):
    pass


@dataclass(frozen=True, repr=False)
class TurnedFactors(Turned, FixedRankFactors):
    pass


@dataclass(frozen=True, repr=False)
class TurnedTucker(Turned, Tucker):
    pass


@dataclass(frozen=True, repr=False)
class TurnedTensorTrain(Turned, TensorTrain):
    pass


@pytest.mark.parametrize(
    "check",
    [
        check_coordinates,
        check_embedding,
        check_gradient_conversion,
        check_hessian_conversion,
        check_inverse_retractions,
        check_transports,
        check_weingarten,
    ],
)
@pytest.mark.parametrize(
    "M",
    [
        TurnedFixedRank(5, 4, 2),
        TurnedFixedRank(4, 3, 2, field="complex"),
        TurnedFactors(5, 4, 2),
        TurnedTucker((4, 3, 3), (2, 2, 2)),
        TurnedTensorTrain((3, 3, 4), (2, 2)),
        TurnedTensorTrain((3, 2, 2, 3), (2, 3, 2)),
    ],
    ids=repr,
)
def test_conformance(M, check):
    check(M)
