"""The one place where text leaves the package."""

from __future__ import annotations

import os
import sys
from typing import IO, Any


class Writer:
    """Writes lines to a stream, or to the end of a file.

    Parameters
    ----------
    file : text stream, path or None
        None is ``sys.stdout``, looked up at every line so that redirecting it works. A stream is not pickled: what
        was unpickled writes to ``sys.stdout``.

    Raises
    ------
    TypeError
        On anything else.
    """

    __slots__ = ("file",)

    def __init__(self, file: Any = None) -> None:
        if not (file is None or isinstance(file, str | os.PathLike) or hasattr(file, "write")):
            raise TypeError(f"`file` must be a text stream or a path; got {file!r}.")
        self.file = file

    @property
    def stream(self) -> IO[str] | None:
        """Where the lines go; None for a path, which is opened only to write."""
        if self.file is None:
            return sys.stdout
        return None if isinstance(self.file, str | os.PathLike) else self.file

    def line(self, text: str) -> None:
        """Write one line."""
        stream = self.stream
        if stream is not None:
            stream.write(text + "\n")
        else:
            with open(self.file, "a", encoding="utf-8") as opened:
                opened.write(text + "\n")

    def __getstate__(self) -> Any:
        return None, {"file": self.file if isinstance(self.file, str | os.PathLike) else None}
