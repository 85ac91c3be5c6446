"""`python -m tobs` is `tobs`."""

from __future__ import annotations

from tobs.cli.main import run

if __name__ == "__main__":
    run()
