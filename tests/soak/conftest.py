"""The tries are forks with limits of resources, which only Linux has in full."""

from __future__ import annotations

import sys

collect_ignore = [] if sys.platform == "linux" else ["test_soak.py"]
