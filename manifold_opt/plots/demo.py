"""Figures of the demo: one per kind of data, and the convergence of all runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure


def draw(outcomes: Sequence[Any], folder: Path) -> list[Path]:
    """Draw the outcomes of `manifold_opt.demo.solve_all` into a folder.

    Parameters
    ----------
    outcomes : sequence of Outcome
    folder : Path
        Must exist; files of the same names are replaced.

    Returns
    -------
    list of Path
        The files written, ``.png``.
    """
    connectomes, _, pose, mean, geodesic = outcomes
    figures = {
        "connectomes": draw_connectomes(connectomes.result.point, connectomes.data["matrices"]),
        "cameras": draw_cameras(pose.data["poses"], pose.data["fit"]),
        "cities": draw_cities(mean.data["cities"], mean.result.point, geodesic.data["geodesic"]),
        "convergence": draw_convergence(outcomes),
    }
    files = []
    for name, figure in figures.items():
        files.append(folder / f"{name}.png")
        figure.savefig(files[-1], dpi=130)
    return files


def draw_connectomes(mean: np.ndarray, matrices: np.ndarray) -> Figure:
    """The mean connectome, what the arithmetic mean differs by, and all spectra."""
    figure = Figure(figsize=(14, 4.2), layout="constrained")
    axes = figure.subplots(1, 3)
    arithmetic = matrices.mean(axis=0)
    for ax, matrix, title in (
        (axes[0], mean, "Fréchet mean"),
        (axes[1], arithmetic - mean, "arithmetic mean minus Fréchet mean"),
    ):
        limit = float(np.abs(matrix).max())
        image = ax.imshow(matrix, cmap="RdBu_r", vmin=-limit, vmax=limit)
        figure.colorbar(image, ax=ax, shrink=0.8)
        ax.set(title=title, xlabel="brain region", ylabel="brain region")
    spectra = np.linalg.eigvalsh(matrices)[:, ::-1]
    rank = np.arange(1, len(mean) + 1)
    axes[2].semilogy(rank, spectra.T, color="0.8", linewidth=0.7)
    axes[2].semilogy(rank, np.linalg.eigvalsh(arithmetic)[::-1], color="C1", label="arithmetic mean")
    axes[2].semilogy(rank, np.linalg.eigvalsh(mean)[::-1], color="C0", label="Fréchet mean")
    axes[2].set(title=f"spectra of {len(matrices)} people and of the means", xlabel="rank", ylabel="eigenvalue")
    axes[2].legend()
    return figure


def draw_cameras(poses: Any, fit: tuple[np.ndarray, np.ndarray]) -> Figure:
    """Positions and viewing directions of the cameras around the object, and those of the fitted pose."""
    figure = Figure(figsize=(6.5, 6), layout="constrained")
    ax = figure.add_subplot(projection="3d")
    for color, direction, label in (("C3", 0, "x"), ("C2", 1, "y"), ("C0", 2, "z")):
        ax.quiver(0, 0, 0, *np.eye(3)[direction] * 0.5, color=color)
        ax.text(*np.eye(3)[direction] * 0.57, label)
    rotations, translations = np.concatenate([poses.rotations, fit[0][None]]), np.vstack([poses.translations, fit[1]])
    # A camera sees x at R x + t: it stands where that is zero and looks along its own third axis.
    centres = -np.einsum("nji,nj->ni", rotations, translations)
    looks = rotations[:, 2]
    for centre, look, is_fit in zip(centres, looks, [False] * len(poses.rotations) + [True], strict=True):
        color = "C1" if is_fit else "0.45"
        ax.scatter(*centre, color=color, s=40, label="fitted pose" if is_fit else None)
        ax.quiver(*centre, *look, length=0.6, color=color)
    ax.set(title="five cameras around an object, and the fitted pose", xlabel="x", ylabel="y", zlabel="z")
    ax.set_aspect("equal")
    ax.locator_params(nbins=4)
    ax.set_yticks([0.0, 0.4])
    ax.legend(loc="upper left")
    return figure


def draw_cities(cities: Any, mean: np.ndarray, geodesic: np.ndarray) -> Figure:
    """The cities on a map with their mean and the fitted geodesic."""
    figure = Figure(figsize=(10, 5), layout="constrained")
    ax = figure.subplots()
    latitude, longitude = np.degrees(np.arcsin(geodesic[:, 2])), np.degrees(np.arctan2(geodesic[:, 1], geodesic[:, 0]))
    latitude[1:][np.abs(np.diff(longitude)) > 180.0] = np.nan  # no line across the date line
    ax.plot(longitude, latitude, color="C1", label="geodesic fitted over longitude")
    ax.scatter(np.degrees(cities.longitudes), np.degrees(cities.latitudes), s=cities.populations / 4e5, color="C0")
    ax.plot(*np.degrees([np.arctan2(mean[1], mean[0]), np.arcsin(mean[2])]), "r*", markersize=14, label="Fréchet mean")
    for i in np.argsort(-cities.populations)[:12]:
        where = (float(np.degrees(cities.longitudes[i])), float(np.degrees(cities.latitudes[i])))
        ax.annotate(cities.names[i], where, xytext=(4, 4), textcoords="offset points", fontsize=8)
    ax.set(xlim=(-180, 180), ylim=(-90, 90), xlabel="longitude", ylabel="latitude", title="fifty large cities")
    ax.set_aspect("equal")
    ax.grid(alpha=0.3)
    ax.legend(loc="lower left")
    return figure


def draw_convergence(outcomes: Sequence[Any]) -> Figure:
    """Gradient norms over iterations, all problems."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    ax = figure.subplots()
    for outcome in outcomes:
        norms = np.array(outcome.result.record["gradient_norm"], dtype=float)
        ax.semilogy(outcome.result.record["iteration"], norms / norms[0], ".-", label=outcome.problem)
    ax.set(xlabel="iteration", ylabel="gradient norm, relative to the first", title="convergence")
    ax.grid(alpha=0.3)
    ax.legend(fontsize=8)
    return figure
