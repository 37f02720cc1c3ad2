"""Run benchmarks: ``python -m benchmarks [names] [--write]``."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from .harness import versions

NAMES = ("overhead", "manifold_calls", "frechet_mean", "problems", "flat", "nist")
PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
HEAD = """# Benchmarks

Side by side with other packages in one process on one machine (two shared cores, one BLAS thread): read the ratios. A
ratio above 1 in a column about peers says how many times longer they take. Taken with {versions} by

```text
OPENBLAS_NUM_THREADS=1 python -m benchmarks --write
```
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], help="which ones; default all")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md (needs all of them)")
    options = parser.parse_args()
    names = options.names or NAMES
    text = [HEAD.format(versions=versions())]
    for name in names:
        for table in importlib.import_module(f"benchmarks.{name}").tables():
            text.append(table.markdown())
            print(text[-1], flush=True)
    if options.write:
        if tuple(names) != NAMES:
            parser.error("--write takes the whole set")
        PAGE.write_text("\n".join(text))


if __name__ == "__main__":
    main()
