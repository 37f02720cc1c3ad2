"""The g2o format: what is written is read, in every variant, and bad files are told apart by line."""

from __future__ import annotations

import lzma

import numpy as np
import pytest

from manifold_opt import SpecialEuclidean
from manifold_opt.datasets import BadFile, read_g2o, write_g2o
from manifold_opt.pose_graphs import PoseGraph

PLANE = """\
# a comment
VERTEX_SE2 7 0 0 0
VERTEX_SE2 3 1 2 3.0   # another

FIX 7
EDGE_SE2 7 3 1 2 3.0 1 0 0 2 0.5 4
"""
SPACE = "VERTEX_SE3:QUAT 0 0 0 0 0 0 0 1\nVERTEX_SE3:QUAT 1 0 0 0 0 0 1 0\n"
EDGE = "EDGE_SE3:QUAT 0 1 1 2 3 0 0 0 1 1 0 0 0 0 0 1 0 0 0 0 1 0 0 0 1 0 0 1 0 1\n"


def written(tmp_path, text, name="graph.g2o"):
    path = tmp_path / name
    path.write_text(text)
    return path


def random_graph(d, rng, with_poses=True):
    SE, n, m = SpecialEuclidean(d), 6, 9
    p = d * (d + 1) // 2
    A = rng.standard_normal((m, p, p))
    ids = np.sort(rng.choice(1000, n, replace=False))
    edges = np.array([rng.choice(n, 2, replace=False) for _ in range(m)])
    edges[: n - 1] = np.stack([np.arange(n - 1), np.arange(1, n)], axis=1)
    poses = SE.random_point(rng, (n,)) if with_poses else None
    return PoseGraph(edges, SE.random_point(rng, (m,)), A @ A.swapaxes(1, 2), poses, ids, [1, 4] if with_poses else ())


@pytest.mark.parametrize("suffix", ["", ".xz", ".gz", ".bz2"])
@pytest.mark.parametrize("with_poses", [True, False])
@pytest.mark.parametrize("d", [2, 3])
def test_what_is_written_is_read(d, with_poses, suffix, tmp_path):
    graph = random_graph(d, np.random.default_rng(d), with_poses)
    path = tmp_path / f"graph.g2o{suffix}"
    write_g2o(path, graph)
    again = read_g2o(path)
    assert again.dimension == d
    for name in ("ids", "edges", "fixed"):
        np.testing.assert_array_equal(getattr(again, name), getattr(graph, name))
    np.testing.assert_array_equal(again.information, graph.information)
    np.testing.assert_allclose(again.measurements, graph.measurements, atol=4e-15)
    if with_poses:
        np.testing.assert_allclose(again.poses, graph.poses, atol=4e-15)
    else:
        assert again.poses is None


def test_the_plane(tmp_path):
    graph = read_g2o(written(tmp_path, PLANE))
    np.testing.assert_array_equal(graph.ids, [3, 7])
    np.testing.assert_array_equal(graph.edges, [[1, 0]])
    np.testing.assert_array_equal(graph.fixed, [1])
    np.testing.assert_array_equal(graph.information[0], [[1, 0, 0], [0, 2, 0.5], [0, 0.5, 4]])
    c, s = np.cos(3.0), np.sin(3.0)
    np.testing.assert_allclose(graph.measurements[0], [c, -s, s, c, 1, 2])
    np.testing.assert_allclose(graph.poses[0], [c, -s, s, c, 1, 2])


def test_quaternions_are_those_of_scipy(tmp_path):
    from scipy.spatial.transform import Rotation

    rng = np.random.default_rng(0)
    q = rng.standard_normal(4)
    q /= np.linalg.norm(q)
    text = SPACE + EDGE.replace("0 0 0 1 1 0", " ".join(map(repr, q.tolist())) + " 1 0", 1)
    graph = read_g2o(written(tmp_path, text))
    np.testing.assert_allclose(graph.rotations[0], Rotation.from_quat(q).as_matrix(), atol=1e-15)
    np.testing.assert_array_equal(graph.translations[0], [1, 2, 3])


BAD = {
    "tag": (PLANE + "VERTEX_XY 4 1 2\n", "line 7: unknown tag 'VERTEX_XY'"),
    "few": (PLANE.replace(" 0.5 4", ""), r"line 6: expected EDGE_SE2 and 11 numbers \(i j x .*\), found 9"),
    "none": (PLANE + "VERTEX_SE2\n", "line 7: expected VERTEX_SE2 and 4 numbers .*, found 0"),
    "word": (PLANE.replace("1 2 3.0   #", "1 two 3.0   #"), "line 3: expected a finite number for y, found 'two'"),
    "nan": (PLANE.replace("0.5 4", "nan 4"), "line 6: expected a finite number for I23, found 'nan'"),
    "id": (PLANE.replace("SE2 3", "SE2 3.5"), "line 3: expected an integer for id, found '3.5'"),
    "unit": (SPACE.replace("0 1\n", "0 2\n", 1) + EDGE, "line 1: expected a quaternion of length 1, found .* 2"),
    "both": (PLANE + EDGE, "line 7: a file has either SE2 or SE3:QUAT lines, but this one has both"),
    "missing": (PLANE.replace("EDGE_SE2 7 3", "EDGE_SE2 7 4"), "line 6: there is no vertex 4"),
    "loop": (PLANE.replace("EDGE_SE2 7 3", "EDGE_SE2 7 7"), "line 6: the edge joins vertex 7 to itself"),
    "twice": (PLANE.replace("SE2 3", "SE2 7"), "line 3: vertex 7 was there before"),
    "fix": (PLANE.replace("FIX 7", "FIX 8"), "line 5: there is no vertex 8"),
    "fix word": (PLANE.replace("FIX 7", "FIX x"), "line 5: expected an integer for the id of a vertex, found 'x'"),
    "fix nothing": (PLANE.replace("FIX 7", "FIX"), "line 5: expected FIX and the ids of vertices"),
    "no edges": ("VERTEX_SE2 0 0 0 0\n", "has no EDGE_SE2 or EDGE_SE3:QUAT lines"),
    "empty": ("", "has no EDGE_SE2"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files(name, tmp_path):
    text, message = BAD[name]
    with pytest.raises(BadFile, match=message):
        read_g2o(written(tmp_path, text))


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(BadFile, match="No such file"):
        read_g2o(tmp_path / "nothing.g2o")
    with pytest.raises(BadFile, match="cannot be unpacked"):
        read_g2o(written(tmp_path, PLANE, "graph.g2o.xz"))
    whole = lzma.compress(PLANE.encode())
    (tmp_path / "short.g2o.xz").write_bytes(whole[:-20])
    with pytest.raises(BadFile, match="ends early"):
        read_g2o(tmp_path / "short.g2o.xz")
    (tmp_path / "binary.g2o").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadFile, match="is not a text file"):
        read_g2o(tmp_path / "binary.g2o")
