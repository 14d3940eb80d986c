"""``python -m ccr.cli`` is ``ccr``."""

from __future__ import annotations

from ccr.cli import main

if __name__ == "__main__":
    main()
