"""Machines that share nothing but a network: each has interfaces and a disk of its own, in namespaces of the kernel's.

Whoever makes them must be in a network namespace of their own (`unshare --net --mount --pid --fork --kill-child`): no packet
leaves it, and nothing is left of it when its first process ends.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from backend.bench.plugin import environment
from backend.processes import die_with_parent

NETWORK, BRIDGE, HERE = "10.77.0", "al-bridge", "10.77.0.1"


def sh(*command: str) -> None:
    """Run it; what it says is in the error where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"


def build_network() -> None:
    """A bridge at HERE, to which machines are joined."""
    sh("ip", "link", "set", "lo", "up")
    sh("ip", "link", "add", BRIDGE, "type", "bridge")
    sh("ip", "addr", "add", f"{HERE}/24", "dev", BRIDGE)
    sh("ip", "link", "set", BRIDGE, "up")


class Machine:
    """One of them, at the address NETWORK.number. `disk` is the same path on all, and what lies there another on each.

    values: its settings, beside its DATA_DIR.
    """

    def __init__(self, name: str, number: int, disk: Path, values: Mapping[str, str]) -> None:
        self.name, self.address = name, f"{NETWORK}.{number}"
        self.data_dir = disk / "data"
        self._values = environment({**values, "DATA_DIR": str(self.data_dir)})
        self._disk = disk
        disk.mkdir(exist_ok=True)
        self._holder = subprocess.Popen(
            ["unshare", "--net", "--mount", "sh", "-c", f"mount -t tmpfs {name} {disk} && echo && exec sleep infinity"],
            stdout=subprocess.PIPE,
            preexec_fn=die_with_parent,
        )
        assert self._holder.stdout
        self._holder.stdout.readline()  # the disk is there
        self._join_network()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._logs = disk.parent

    def _join_network(self) -> None:
        outer = f"al-{self.name}"[:15]
        sh("ip", "link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", str(self._holder.pid))
        sh("ip", "link", "set", outer, "master", BRIDGE, "up")
        for command in (f"addr add {self.address}/24 dev eth0", "link set eth0 up", "link set lo up"):
            sh(*self._inside("ip", *command.split()))

    def _inside(self, *command: str) -> list[str]:
        return ["nsenter", "--target", str(self._holder.pid), "--net", "--mount", f"--wdns={self._disk}", *command]

    def start(self, *arguments: str) -> None:
        """`al-backend ARGUMENTS` in the background; what it says goes to a file outside."""
        with self.log(arguments[0]).open("ab") as log:
            self.processes[arguments[0]] = subprocess.Popen(
                self._inside(sys.executable, "-m", "backend", *arguments),
                env=self._values,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=lambda: die_with_parent(signal.SIGTERM),
            )

    def run(self, *arguments: str) -> str:
        """`al-backend ARGUMENTS` to its end; returns what it printed."""
        done = self.execute("-m", "backend", *arguments)
        assert done.returncode == 0, f"{self.name}: {arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def execute(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Python with these arguments to its end."""
        command = self._inside(sys.executable, *arguments)
        return subprocess.run(command, env=self._values, capture_output=True, text=True, timeout=600, check=False)

    def kill(self, command: str) -> None:
        """kill -9 it and all that it started."""
        process = self.processes.pop(command)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def log(self, command: str) -> Path:
        """What `command` says."""
        return self._logs / f"{self.name}-{command}.log"

    def __enter__(self) -> "Machine":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: BaseException | TracebackType | None) -> None:
        for command in list(self.processes):
            self.kill(command)
            if kind:
                print(f"--- {self.name} {command}\n{self.log(command).read_text()[-4000:]}")
        self._holder.kill()
        self._holder.wait()
