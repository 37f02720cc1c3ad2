"""Every manifold passes every conformance check."""

import pytest
from manifolds.all_manifolds import MANIFOLDS

from manifold_opt.testing import MANIFOLD_CHECKS


@pytest.mark.parametrize("check", MANIFOLD_CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
@pytest.mark.parametrize("M", MANIFOLDS, ids=repr)
def test_conformance(M, check):
    check(M)
