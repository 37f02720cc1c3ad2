"""Saving a run, so that it goes on after it was killed, to the very same answer."""

from __future__ import annotations

import math
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from .alarms import SolverWarning
from .archive import CheckpointError, damaged, read_archive, write_archive
from .base import StateDecorator, layers
from .codec import Decoder, Encoder, class_name, expanded, fill, is_frozen
from .lines import check_every
from .record import RecordState

FORMAT = 1
OVERHEAD = 0.02
"""Share of the time that writing may take where no rhythm is given."""


@dataclass(frozen=True)
class Checkpoint:
    """Where and how often a run is saved.

    Parameters
    ----------
    path : path
        An ``.npz`` file.
    every : int, optional
        Save at every n-th iteration.
    seconds : float, optional
        Save whenever this time has passed. Without ``every`` and ``seconds``: as often as takes 2 % of the time.
    """

    path: Any
    every: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.path, str | os.PathLike):
            raise TypeError(f"`checkpoint` must be a path or Checkpoint(path, ...); got {self.path!r}.")
        path = Path(self.path)
        object.__setattr__(self, "path", path)
        if self.every is not None:
            object.__setattr__(self, "every", check_every(self.every))
        if self.seconds is not None and not self.seconds >= 0:
            raise ValueError(f"`seconds` of Checkpoint must be >= 0; got {self.seconds!r}.")
        folder = path.absolute().parent
        if not folder.is_dir():
            raise ValueError(f"`checkpoint` is to be written to {folder}, which is not a folder: create it first.")
        if path.is_dir():
            raise ValueError(f"`checkpoint` must name a file; {path} is a folder.")


class CheckpointState(StateDecorator):
    """A state that saves itself while it runs, and continues from what was saved.

    If the file exists when the run begins, the state goes on from there: it must have been built with the same
    arguments, except for ``stopping``, which says how far to go, not where. What was recorded goes on too. It is saved
    at the start, at a rhythm, at the end, and when Ctrl-C interrupts the run.

    Parameters
    ----------
    state : SolverState or StateDecorator
    checkpoint : path or Checkpoint

    Raises
    ------
    CheckpointError
        By `begin`: when the file is damaged, or was written by a run with other rules; the message names them.

    Notes
    -----
    The file is an ``.npz`` archive of arrays with one JSON text, read without pickle.
    """

    __slots__ = ("due", "rules", "settings")

    def __init__(self, state: Any, checkpoint: Any) -> None:
        super().__init__(state)
        self.settings = checkpoint if isinstance(checkpoint, Checkpoint) else Checkpoint(checkpoint)
        self.rules = _rules(self.core)
        self.due = 0.0

    def begin(self, problem: Any) -> None:
        """See `SolverState.begin`."""
        if self.core.evaluation is None and self.settings.path.exists():
            self._load(problem)
        self.inner.begin(problem)
        self._save(problem)

    def step(self, problem: Any) -> None:
        """See `SolverState.step`."""
        try:
            self.inner.step(problem)
        except KeyboardInterrupt:
            self._save(problem)
            raise
        every = self.settings.every
        if every is not None and self.core.iteration % every == 0:
            self._save(problem)
        elif perf_counter() >= self.due:
            self._save(problem)

    def should_stop(self, problem: Any) -> bool:
        """See `SolverState.should_stop`."""
        try:
            stop = self.inner.should_stop(problem)
        except KeyboardInterrupt:
            self._save(problem)
            raise
        if stop:
            self._save(problem)
        return stop

    def _save(self, problem: Any) -> None:
        if self.core.evaluation is None:  # interrupted before there was anything to save
            return
        clock = perf_counter()
        save(self.settings.path, problem, self, self.rules)
        now = perf_counter()
        settings = self.settings
        if settings.seconds is not None:
            self.due = now + settings.seconds
        else:
            self.due = math.inf if settings.every is not None else now + (now - clock) / OVERHEAD

    def _load(self, problem: Any) -> None:
        load(self.settings.path, problem, self, self.rules)


def save(path: Path, problem: Any, state: Any, rules: Any) -> None:
    """Write a decorated state to a file."""
    core, encoder = _core(state), Encoder()
    root = encoder.encode(core)
    records = [encoder.encode(layer.memory(), "record") for layer in _records(state)]
    text = {
        "format": FORMAT,
        "state": class_name(type(core)),
        "manifold": _manifold(problem),
        "rules": rules,
        "root": root,
        "records": records,
        "objects": encoder.objects,
    }
    write_archive(path, text, encoder.arrays)


def load(path: Path, problem: Any, state: Any, rules: Any) -> None:
    """Fill a decorated state that has not begun from a file."""
    core = _core(state)
    text, arrays = read_archive(path)
    if not isinstance(text, dict) or "format" not in text:
        raise damaged(path, ValueError("it holds no state"))
    if text["format"] != FORMAT:
        raise CheckpointError(
            f"the checkpoint {path} has format {text['format']}, this version reads {FORMAT}: delete it to start "
            "afresh, or name another."
        )
    try:
        _compare(path, text, core, problem, rules)
        fresh = Encoder()
        fresh.encode(core)
        decoder = Decoder(text["objects"], arrays, fresh)
        values = decoder.refill(core, text["root"])
        memories = [decoder.decode(record) for record in text["records"]]
    except CheckpointError:
        raise
    except Exception as error:
        raise damaged(path, error) from error
    if isinstance(values, dict):
        values.pop("stopping", None)  # how far to go is for the new run to say
    fill(core, values)
    _recall(list(_records(state)), memories, core)


def _recall(records: list[Any], memories: list[Any], core: Any) -> None:
    if [list(record.series) for record in records] == [list(memory["series"]) for memory in memories]:
        for record, memory in zip(records, memories, strict=True):
            record.recall(memory)
    elif records:
        warnings.warn(
            f"the checkpoint has other series than `record` asks for: they start at iteration {core.iteration}.",
            SolverWarning,
            stacklevel=6,
        )


def _core(state: Any) -> Any:
    return state.core if isinstance(state, StateDecorator) else state


def _records(state: Any) -> Any:
    return (layer for layer in layers(state) if isinstance(layer, RecordState))


# which rules a state was built with


def _rules(core: Any) -> dict[str, Any]:
    """What a state was built with, by name; arrays (the start, buffers) count by shape and dtype only.

    Of a state that has run, only its frozen values are still what they were.
    """
    encoder = Encoder()
    encoder.encode(core)
    fresh, frozen = core.evaluation is None, {i for i, _ in encoder.frozen}
    described = {}
    for name, node in encoder.objects[0].get("state", {}).get("fields", {}).items():
        rule = isinstance(node, dict) and node.get("ref") in frozen
        if name not in ("stopping", "_bounds", "evaluation") and (fresh or rule):
            described[name] = expanded(node, encoder.objects, encoder.arrays, frozen)
    return {"fresh": fresh, "fields": described}


def _manifold(problem: Any) -> str:
    M = getattr(problem, "manifold", None)
    return repr(M) if is_frozen(M) else type(M).__qualname__


def _compare(path: Path, text: Any, core: Any, problem: Any, rules: Any) -> None:
    differences = []
    if text["state"] != class_name(type(core)):
        differences.append(f"the solver state was {text['state'].partition(':')[2]}, now {type(core).__qualname__}")
    elif text["manifold"] != _manifold(problem):
        differences.append(f"the manifold was {text['manifold']}, now {_manifold(problem)}")
    else:
        old, new = text["rules"]["fields"], rules["fields"]
        both = text["rules"]["fresh"] and rules["fresh"]
        for name in dict.fromkeys([*old, *new]) if both else [name for name in old if name in new]:
            differences += _differences(f"`{name.lstrip('_')}`", old.get(name), new.get(name))
    if differences:
        raise CheckpointError(
            f"the checkpoint {path} was written by a run with other rules: {'; '.join(differences[:3])}. "
            "Give the same arguments, or another path to start afresh."
        )


def _differences(name: str, old: Any, new: Any) -> list[str]:
    """Where two expanded nodes differ, down to the field."""
    if old == new:
        return []
    fields_of = [x["state"]["fields"] for x in (old, new) if isinstance(x, dict) and "fields" in x.get("state", {})]
    if len(fields_of) == 2 and old.get("object") == new.get("object"):
        found = []
        for key in dict.fromkeys([*fields_of[0], *fields_of[1]]):
            found += _differences(f"{name[:-1]}.{key}`", fields_of[0].get(key), fields_of[1].get(key))
        return found
    return [f"{name} was {_shown(old)}, now {_shown(new)}"]


def _shown(node: Any) -> str:
    if not isinstance(node, dict):
        return repr(node)
    if "object" in node:
        return str(node["object"]).partition(":")[2]
    if "float" in node:
        return str(node["float"])
    if "array" in node:
        dtype, shape, *content = node["array"]
        return f"a {np.dtype(dtype)} array of shape {tuple(shape)}" + (" with other entries" if content else "")
    if "function" in node:
        return str(node["function"]).partition(":")[2]
    text = str(next(iter(node.values())))
    return text if len(text) <= 60 else text[:57] + "..."
