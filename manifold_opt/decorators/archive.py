"""A file of arrays and one JSON text, written aside and renamed: the old one or the new one exists, never a half."""

from __future__ import annotations

import contextlib
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

TEXT = "state.json"


class CheckpointError(ValueError):
    """A checkpoint that cannot be read, or does not belong to the run that reads it."""


def write_archive(path: Path, text: Any, arrays: dict[str, Any]) -> None:
    """Write ``text`` (JSON) and arrays to ``path``, an ``.npz`` file, all or nothing."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(aside, "wb") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
                archive.writestr(TEXT, json.dumps(text, allow_nan=False))
                for name, array in arrays.items():
                    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                        np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            aside.unlink()


def read_archive(path: Path) -> tuple[Any, dict[str, Any]]:
    """Text and arrays of a file, without pickle.

    Raises
    ------
    CheckpointError
        When the file is damaged or is something else.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            text = json.loads(archive.read(TEXT))
            arrays = {}
            for name in archive.namelist():
                if name.endswith(".npy"):
                    with archive.open(name) as member:
                        arrays[name[:-4]] = np.lib.format.read_array(member, allow_pickle=False)
                        member.read()  # to the end, where the checksum is compared
    except PermissionError:
        raise
    except Exception as error:  # a damaged file may fail in any way
        raise damaged(path, error) from error
    return text, arrays


def damaged(path: Path, error: Exception) -> CheckpointError:
    """The one error for files that are not what they should be."""
    return CheckpointError(
        f"the checkpoint {path} is damaged or is no checkpoint ({error}): delete it to start afresh, or name another."
    )
