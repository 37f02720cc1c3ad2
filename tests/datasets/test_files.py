"""Files of users: what is accepted, and the one line that says why something is not."""

from __future__ import annotations

import numpy as np
import pytest

from manifold_opt.datasets import files


def written(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("text", ["1,2\n3,4\n", "x,y\n1,2\n3,4", "\ufeff1, 2\r\n\r\n3, 4\r\n"])
def test_csv_with_and_without_heading(tmp_path, text):
    np.testing.assert_array_equal(files.read_array(written(tmp_path, "a.csv", text)), [[1.0, 2.0], [3.0, 4.0]])


@pytest.mark.parametrize("array", [np.eye(3, dtype=np.float32), np.ones((2, 3, 3)), np.arange(4).reshape(2, 2)])
def test_npy(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    read = files.read_array(tmp_path / "a.npy")
    assert read.dtype == float
    np.testing.assert_array_equal(read, array)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "", "no numbers"),
        ("a.csv", "x,y\n", "no numbers"),
        ("a.csv", "1,2\n3\n", "line 2: has 1 columns where the first row has 2"),
        ("a.csv", "1,2\n3,z\n", "line 2, column 2: 'z' is not a number"),
        ("a.csv", "1,nan\n", "point 1 has a value that is not finite"),
        ("a.txt", "1,2\n", "unknown type '.txt'"),
        ("a.npy", "1,2\n", "is not a .npy file"),
    ],
)
def test_bad_files_say_why(tmp_path, name, text, message):
    with pytest.raises(files.BadFile, match=message) as error:
        files.read_array(written(tmp_path, name, text))
    assert str(tmp_path) in str(error.value) and "\n" not in str(error.value)


def test_missing_binary_and_object_files_say_why(tmp_path):
    with pytest.raises(files.BadFile, match="No such file"):
        files.read_array(tmp_path / "none.csv")
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(files.BadFile, match="not a text file"):
        files.read_array(tmp_path / "b.csv")
    np.save(tmp_path / "o.npy", np.array([{}, []], dtype=object), allow_pickle=True)
    with pytest.raises(files.BadFile, match="not a .npy file of numbers"):
        files.read_array(tmp_path / "o.npy")
    np.save(tmp_path / "s.npy", np.array([["a"]]))
    with pytest.raises(files.BadFile, match="real numbers"):
        files.read_array(tmp_path / "s.npy")


ROTATION = np.array([[0.0, -1.0], [1.0, 0.0]])


@pytest.mark.parametrize(
    ("name", "array", "shape"),
    [
        ("euclidean", np.ones((5, 3)), (3,)),
        ("euclidean", np.ones((5, 3, 2)), (3, 2)),
        ("sphere", np.eye(4), (4,)),
        ("sphere", np.array([[0.6, 0.8], [0.707, 0.707]]), (2,)),
        ("rotations", ROTATION.reshape(1, 4), (2, 2)),
        ("rotations", ROTATION[None], (2, 2)),
        ("spd", np.array([[2.0, 1.0, 1.0, 2.0]]), (2, 2)),
        ("spd", np.stack([np.eye(3), 2 * np.eye(3)]), (3, 3)),
    ],
)
def test_manifold_and_size_are_inferred(name, array, shape):
    M, points = files.points_on(name, array, "a.npy")
    assert M.point_shape == shape and points.shape == (len(array), *shape)
    for p in points:
        M.check_point(p)


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("sphere", np.ones((2, 3)), "point 1: has not length 1"),
        ("sphere", np.zeros((2, 3)), "point 1"),
        ("sphere", np.ones((2, 1)), "at least two numbers"),
        ("rotations", np.ones((2, 5)), "has 5 columns"),
        ("rotations", np.ones((2, 3, 2)), "square matrices"),
        ("rotations", np.stack([np.eye(2), np.diag([1.0, -1.0])]), "point 2: is not a rotation"),
        ("spd", np.array([[1.0, 2.0, 0.0, 1.0]]), "point 1: is not symmetric"),
        ("spd", np.array([[1.0, 0.0, 0.0, 1.0], [1.0, 0.0, 0.0, -1.0]]), "point 2"),
    ],
)
def test_points_off_the_manifold_say_why(name, array, message):
    with pytest.raises(files.BadFile, match=message) as error:
        files.points_on(name, array, "a.npy")
    assert str(error.value).startswith("a.npy") and "\n" not in str(error.value)
