"""Sessions that give way to others, and what is done in a process of its own."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from backend.processes import Lost, apart
from tests.conftest import ROOT

AUTOGROUP = Path("/proc/self/autogroup")
TELL = "import os; from backend.processes import session_gives_way; session_gives_way(7); os.system('cat /proc/self/autogroup')"
autogroups = pytest.mark.skipif(not AUTOGROUP.exists(), reason="this Linux shares processors out to processes alone")


def told(own_session):
    """What a child of a process that gives way by 7 says of its session."""
    done = subprocess.run(
        [sys.executable, "-c", TELL], cwd=ROOT, capture_output=True, text=True, start_new_session=own_session, check=True
    )
    return done.stdout.strip()


@autogroups
def test_a_session_gives_way_where_the_process_leads_it():
    assert told(own_session=True).endswith("nice 7")


@autogroups
def test_a_session_of_somebody_else_s_is_left_alone():
    assert told(own_session=False) == AUTOGROUP.read_text().strip()


def test_what_is_done_apart_comes_back_from_another_process():
    pid, answer = apart(lambda a: (os.getpid(), a * 2), 21, seconds=30)
    assert (pid != os.getpid(), answer) == (True, 42)


def test_what_is_raised_apart_is_raised_here():
    with pytest.raises(ZeroDivisionError):
        apart(lambda: 1 // 0, seconds=30)


def test_what_hangs_apart_is_given_up():
    with pytest.raises(Lost, match="pause was given up"):
        apart(signal.pause, seconds=0.2)


def test_what_dies_apart_is_lost():
    with pytest.raises(Lost, match="ended by something else"):
        apart(lambda: os.kill(os.getpid(), signal.SIGKILL))
