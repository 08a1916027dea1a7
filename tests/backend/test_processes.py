"""Sessions that give way to others."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

AUTOGROUP = Path("/proc/self/autogroup")
TELL = "import os; from backend.processes import session_gives_way; session_gives_way(7); os.system('cat /proc/self/autogroup')"
pytestmark = pytest.mark.skipif(not AUTOGROUP.exists(), reason="this Linux shares processors out to processes alone")


def told(own_session):
    """What a child of a process that gives way by 7 says of its session."""
    done = subprocess.run(
        [sys.executable, "-c", TELL], cwd=ROOT, capture_output=True, text=True, start_new_session=own_session, check=True
    )
    return done.stdout.strip()


def test_a_session_gives_way_where_the_process_leads_it():
    assert told(own_session=True).endswith("nice 7")


def test_a_session_of_somebody_else_s_is_left_alone():
    assert told(own_session=False) == AUTOGROUP.read_text().strip()
