"""Published pose graphs: known global optima of the chordal objective, and known optima of the logarithmic one.

The chordal values agree with those that SE-Sync's authors print where they do; those of logarithms with GTSAM 4.3.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from manifold_opt import solve_pose_graph
from manifold_opt.datasets import read_g2o

DATA = os.environ.get("MANIFOLD_OPT_DATA")
pytestmark = [pytest.mark.data, pytest.mark.skipif(not DATA, reason="MANIFOLD_OPT_DATA is not set")]

# file: global minimum of F; optimum of the log objective, and a start from which it is reached
GRAPHS = {
    "tinyGrid3D": (18.519366, None, None),
    "smallGrid3D": (1025.39806, 517.925335, "file"),
    "sphere2500": (1687.00581, 675.700963, "file"),
    "parking-garage": (1.26252443, 0.6341923996, "file"),
    "CSAIL": (31.703716, 20.275442, "odometry"),
    "intel": (52.348227, 22.502117, "file"),
    "M3500": (193.862258, 68.957439, "file"),
    "kitti_05": (276.514377, 78.551925, "odometry"),
}


def graph(name):
    return read_g2o(Path(DATA) / "g2o" / f"{name}.g2o.xz")


@pytest.mark.parametrize("name", GRAPHS)
def test_chordal_optimum_is_found_and_certified(name):
    result = solve_pose_graph(graph(name), certify=True)
    assert result.converged
    assert result.costs["chordal"] == pytest.approx(GRAPHS[name][0], rel=1e-6)
    assert result.certificate.optimal and result.certificate.relative_gap <= 1e-6
    assert not result.ranks


@pytest.mark.parametrize("name", [name for name in GRAPHS if GRAPHS[name][1]])
def test_logarithmic_optimum(name):
    _, optimum, start = GRAPHS[name]
    result = solve_pose_graph(graph(name), "log", init=start)
    assert result.converged
    assert result.cost == pytest.approx(optimum, rel=1e-6)
