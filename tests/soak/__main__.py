"""`python -m soak`, with tests/ among the paths of Python."""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when faiss and torch are loaded; networks here are small

    from soak.run import main

    sys.exit(main())
