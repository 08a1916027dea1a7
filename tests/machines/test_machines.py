"""Two workers and a server on machines of their own, with no disk in common: story.py, which runs in a network of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

STORY = Path(__file__).with_name("story.py")
TOOLS = ("unshare", "nsenter", "ip")
LONGEST_SECONDS = 1800  # what its own waits add up to is longer still


@pytest.mark.soak
def test_machines_that_share_no_disk_label_retrain_and_fine_tune_through_every_fault(shared, tmp_path):
    if os.geteuid() != 0 or not all(map(shutil.which, TOOLS)):
        why = f"namespaces take root, and {', '.join(TOOLS)}"
        pytest.fail(why) if os.environ.get("AL_REQUIRE_SHARED") else pytest.skip(why)
    apart = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    story = [sys.executable, "-m", "pytest", "-q", "-s", "-m", "", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'story'}"]
    done = subprocess.run(
        [*apart, *story, f"{STORY}"],
        cwd=ROOT,
        env=os.environ | {"AL_SHARED": str(shared)},
        capture_output=True,
        text=True,
        timeout=LONGEST_SECONDS,
        check=False,
    )
    print(done.stdout[-20_000:], done.stderr[-2000:])
    assert done.returncode == 0
    assert "6 passed" in done.stdout  # the whole story: what is skipped, or not there, ends well too
