"""The command line on files of pose graphs."""

from __future__ import annotations

import json

import numpy as np
import pytest

from manifold_opt.cli import main
from manifold_opt.datasets import grid_graph, read_g2o, ring_graph, write_g2o
from manifold_opt.pose_graphs import pose_graph_costs


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("graphs") / "ring.g2o.xz"
    write_g2o(path, ring_graph(30, laps=2, rotation_noise=0.05, rng=0))
    return path


def run(capsys, *arguments):
    code = main(["pose-graph", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_report(file, capsys):
    code, out, err = run(capsys, file, "--certify")
    assert (code, err) == (0, "")
    for words in ("60 poses", "CONVERGED", "chordal cost", "log cost", "globally optimal within"):
        assert words in out


def test_json_files_and_picture(file, tmp_path, capsys):
    out_file, picture = tmp_path / "out.g2o", tmp_path / "before-after.png"
    arguments = ("--objective", "log", "--init", "file", "--out", out_file, "--plot", picture, "--json")
    code, out, err = run(capsys, file, *arguments)
    assert (code, err) == (0, "")
    answer = json.loads(out)
    assert answer["objective"] == "log" and answer["init"] == "file" and answer["converged"]
    assert answer["files"] == [str(out_file), str(picture)]
    solved = read_g2o(out_file)
    assert pose_graph_costs(solved, solved.poses)["log"] == pytest.approx(answer["costs"]["log"], rel=1e-9)
    assert picture.read_bytes()[:4] == b"\x89PNG"


def test_outliers_and_losses(tmp_path, capsys):
    path = tmp_path / "outliers.g2o"
    graph = ring_graph(30, laps=2, outliers=0.3, rotation_noise=0.02, translation_noise=0.02, rng=1)
    write_g2o(path, graph)
    code, out, _ = run(capsys, path, "--graduated", "--certify", "--json", "--plot", tmp_path / "red.png")
    assert code == 0
    assert abs(json.loads(out)["rejected_edges"] - (~graph.inliers).sum()) <= 1
    code, out, _ = run(capsys, path, "--loss", "cauchy", "--loss-scale", "2", "--json")
    assert code == 0


def test_in_space(tmp_path, capsys):
    path = tmp_path / "grid.g2o"
    write_g2o(path, grid_graph((3, 3, 3), init=None, rng=0))
    code, _, _ = run(capsys, path, "--init", "spectral", "--certify", "--plot", tmp_path / "grid.png")
    assert code == 0


def test_limits_and_failed_proofs_are_exit_code_1(file, capsys):
    code, out, _ = run(capsys, file, "--init", "odometry", "--certify", "--max-iterations", "1")
    assert code == 1
    assert "ITERATION_LIMIT" in out


def indefinite(tmp_path):
    from dataclasses import replace

    graph = ring_graph(6, rng=0)
    information = graph.information.copy()
    information[2] = np.diag([1.0, 1.0, -1.0])
    path = tmp_path / "indefinite.g2o"
    write_g2o(path, replace(graph, information=information))
    return path


def test_errors_are_one_line(file, tmp_path, capsys):
    bad = tmp_path / "bad.g2o"
    bad.write_text("EDGE_SE2 0 1 1 0 0 1 0 0 1 0\n")
    cases = [
        ((bad,), "line 1: expected EDGE_SE2 and 11 numbers"),
        ((tmp_path / "none.g2o",), "No such file"),
        ((file, "--certify", "--objective", "log"), "--certify is for the chordal objective"),
        ((file, "--loss-scale", "2"), "--loss-scale needs --loss"),
        ((file, "--loss", "huber", "--loss-scale", "-2"), "must be positive"),
        ((file, "--loss", "huber", "--certify"), "`certify` is for squares"),
        ((file, "--out", tmp_path / "no" / "where.g2o"), "No such file"),
        ((indefinite(tmp_path), "--objective", "log"), "1 of 6 edges .* not positive definite .*--repair"),
    ]
    import re

    for arguments, message in cases:
        code, _, err = run(capsys, *arguments)
        assert code == 2 and re.search(message, err), (arguments, err)
        assert err.startswith("manifold-opt: ") and err.count("\n") == 1


def test_repair(tmp_path, capsys):
    code, out, _ = run(capsys, indefinite(tmp_path), "--objective", "log", "--repair")
    assert code == 0
    assert "log cost" in out and "nan" not in out
