"""Files of bundle adjustment: round trips to the last digit, real ones, and what is said of broken ones."""

from __future__ import annotations

import os
import re
import struct
from pathlib import Path

import numpy as np
import pytest

from manifold_opt.datasets import (
    bundle_scene,
    read_bal,
    read_bundler,
    read_libmv,
    write_bal,
    write_bundler,
    write_libmv,
)
from manifold_opt.datasets.files import BadFile
from manifold_opt.functions import CameraModel

FOLDER = os.environ.get("MANIFOLD_OPT_DATA")
REAL = pytest.mark.skipif(not FOLDER, reason="MANIFOLD_OPT_DATA is not set")
LIBMV = CameraModel((), {"f": 900.0, "cx": 320.0, "cy": 240.0, "k1": 0.01, "p2": 1e-3})


def same(a, b, digits=1e-14):
    assert np.allclose(a.start, b.start, rtol=digits, atol=digits)
    assert np.array_equal(a.camera_index, b.camera_index) and np.array_equal(a.point_index, b.point_index)
    assert np.allclose(a.seen, b.seen, rtol=digits, atol=0.0)


@pytest.mark.parametrize("name", ["a.txt", "a.txt.xz", "a.gz", "a.bz2"])
def test_bal_comes_back(tmp_path, name):
    problem = bundle_scene(5, 30, 100, rng=0).problem
    write_bal(tmp_path / name, problem)
    same(problem, read_bal(tmp_path / name))


def test_bundler_comes_back(tmp_path):
    problem = bundle_scene(5, 30, 100, rng=1).problem
    write_bundler(tmp_path / "bundle.out", problem)
    again = read_bundler(tmp_path / "bundle.out")
    assert np.allclose(again.start, problem.start, rtol=1e-14, atol=1e-14)
    order = np.lexsort((problem.camera_index, problem.point_index))
    assert np.array_equal(again.seen, problem.seen[order])


def test_cameras_that_bundler_could_not_place_are_left_out(tmp_path):
    problem = bundle_scene(5, 30, 100, rng=1).problem
    moved = type(problem)(**{**vars_of(problem), "camera_ids": np.array([0, 2, 3, 5, 6])})
    write_bundler(tmp_path / "bundle.out", moved)
    assert (tmp_path / "bundle.out").read_text().splitlines()[1] == "7 30"
    again = read_bundler(tmp_path / "bundle.out")
    assert len(again.poses) == 5 and again.camera_ids.tolist() == [0, 2, 3, 5, 6]


def vars_of(problem):
    names = "model poses points camera_index point_index seen lens weights camera_ids point_ids".split()
    return {name: getattr(problem, name) for name in names}


def test_libmv_comes_back_in_single_precision(tmp_path):
    problem = bundle_scene(5, 30, 100, model=LIBMV, rng=2).problem
    moved = type(problem)(**{**vars_of(problem), "camera_ids": np.arange(5) * 3, "point_ids": np.arange(30)[::-1] + 7})
    write_libmv(tmp_path / "a.bin", moved)
    again = read_libmv(tmp_path / "a.bin")
    same(moved, again, 1e-6)
    assert np.array_equal(again.camera_ids, moved.camera_ids) and np.array_equal(again.point_ids, moved.point_ids)


@pytest.mark.parametrize("order", ["<", ">"])
def test_libmv_in_both_byte_orders_and_in_normalized_coordinates(tmp_path, order):
    mark = b"v" if order == "<" else b"V"
    lens = struct.pack(order + "8f", 100.0, 5.0, 6.0, 0.1, 0.0, 0.0, 0.0, 0.0)
    turned = [0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0]  # columns of a quarter turn: R e_x = e_y
    camera = struct.pack(order + "i12f", 4, *turned, 0.0, 0.0, 2.0)
    point = struct.pack(order + "i3f", 9, 1.0, 0.0, 0.0)
    marker = struct.pack(order + "2i2f", 4, 9, 0.0, 0.5)
    one = struct.pack(order + "i", 1)
    path = tmp_path / "a.bin"
    path.write_bytes(mark + b"N" + lens + one + camera + one + point + one + marker)
    problem = read_libmv(path)
    # the point is seen at (0, 1/2), which the lens takes to b (1 + k1 b^2)
    assert np.allclose(problem.seen, [[5.0, 100.0 * 0.5 * (1 + 0.1 * 0.25) + 6.0]])
    assert np.allclose(problem.errors(), 0.0, atol=1e-5)


@REAL
@pytest.mark.data
def test_the_real_files():
    libmv = read_libmv(Path(FOLDER) / "bundle" / "libmv_problem_01.bin")
    assert (len(libmv.poses), len(libmv.points), len(libmv.seen)) == (333, 26, 5421)
    assert np.sqrt(np.mean(np.sum(libmv.errors() ** 2, axis=1))) < 1.31  # pixels: rotations read the right way round
    balbianello = read_bundler(Path(FOLDER) / "bundle" / "Balbianello.out.xz")
    assert (len(balbianello.poses), len(balbianello.points)) == (5, 544)
    assert np.sqrt(np.mean(np.sum(balbianello.errors() ** 2, axis=1))) < 0.43
    assert not libmv.behind().any() and not balbianello.behind().any()


GOOD = "1 1 2\n0 0 1.0 2.0\n0 0 3.0 4.0\n" + "0\n" * 6 + "100\n0\n0\n" + "1 2 -5\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "numbers of cameras"),
        ("1 1\n", "numbers of cameras"),
        ("1 1 -2\n", "line 1: expected the numbers of cameras"),
        (GOOD.replace("2.0", "two"), "line 2: expected a number of the observations .* found 'two'"),
        (GOOD.replace("3.0", "nan"), "line 3: expected a finite number"),
        (GOOD.replace("0 0 3.0", "1 0 3.0"), r"line 3: expected a number in 0\.\.0; found '1'"),
        (GOOD.replace("0 0 3.0", "0 0.5 3.0"), "line 3: expected a number in"),
        (GOOD + "7\n", "line 14: expected the end of the file; found '7'"),
        (GOOD[:-6], "ends where 3 numbers of points, of which 2 are missing"),
    ],
)
def test_what_is_wrong_with_bal_is_said(tmp_path, text, words):
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(BadFile, match=words):
        read_bal(tmp_path / "a.txt")


def test_the_good_one_is_good(tmp_path):
    (tmp_path / "a.txt").write_text(GOOD)
    assert np.allclose(read_bal(tmp_path / "a.txt").errors(), [[20 - 1, 40 - 2], [20 - 3, 40 - 4]])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lines: ["# Bundle file v0.4", *lines[1:]], "line 1: expected '# Bundle file v0.3'"),
        (lambda lines: [*lines[:1], "2 x", *lines[2:]], "line 2: expected the numbers of cameras and points"),
        (lambda lines: [*lines[:4], "1 0 zero", *lines[5:]], "line 5: expected a number of the cameras"),
        (lambda lines: [*lines[:3], "2 0 0", *lines[4:]], "rotation of camera 0"),
        (lambda lines: lines[:-1], "ends where 7 numbers of points"),
        (lambda lines: [*lines[:-1], lines[-1] + " 3"], "expected the end"),
        (lambda lines: [*lines[:-1], re.sub(r"^(\d+) \d+", r"\1 88", lines[-1])], "names camera 88"),
    ],
)
def test_what_is_wrong_with_bundler_is_said(tmp_path, change, words):
    write_bundler(tmp_path / "a.out", bundle_scene(2, 3, 6, rng=0).problem)
    lines = (tmp_path / "a.out").read_text().splitlines()
    (tmp_path / "a.out").write_text("\n".join(change(lines)) + "\n")
    with pytest.raises(BadFile, match=words):
        read_bundler(tmp_path / "a.out")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: b"x" + data[1:], "offset 0: expected 'v'"),
        (lambda data: b"vQ" + data[2:], "offset 1: expected 'P'"),
        (lambda data: data[:30], "offset 2: expected eight numbers of the lens"),
        (lambda data: data[:34] + struct.pack("<i", -3) + data[38:], "offset 34: expected the number of .* found -3"),
        (lambda data: data[:60], "offset 38: expected 2 cameras, 104 bytes; the file ends after 22"),
        (lambda data: data + b"12", "expected the end; 2 bytes follow"),
        (lambda data: data[:-16] + struct.pack("<i", 77) + data[-12:], "names image 77"),
        (lambda data: data[:42] + struct.pack("<f", 3.0) + data[46:], "rotation of camera 0"),
    ],
)
def test_what_is_wrong_with_libmv_is_said(tmp_path, change, words):
    write_libmv(tmp_path / "a.bin", bundle_scene(2, 3, 6, model=LIBMV, rng=0).problem)
    (tmp_path / "a.bin").write_bytes(change((tmp_path / "a.bin").read_bytes()))
    with pytest.raises(BadFile, match=words):
        read_libmv(tmp_path / "a.bin")


def test_missing_and_broken_archives_are_said(tmp_path):
    with pytest.raises(BadFile, match="no such file"):
        read_bal(tmp_path / "none.txt")
    (tmp_path / "a.xz").write_bytes(b"not xz")
    with pytest.raises(BadFile, match="cannot be read"):
        read_bal(tmp_path / "a.xz")


def test_what_a_format_cannot_say_is_said(tmp_path):
    forward = bundle_scene(2, 3, 6, model=LIBMV, rng=0).problem
    with pytest.raises(ValueError, match="BAL format is for cameras that look along -z"):
        write_bal(tmp_path / "a", forward)
    with pytest.raises(ValueError, match=r"along \+z"):
        write_libmv(tmp_path / "a", bundle_scene(2, 3, 6, rng=0).problem)
