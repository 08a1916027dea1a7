"""The services of docker-compose.yml as processes of this machine.

Commands, environments, health checks, the order of starting and the signals that stop are those of the file; the only thing
that differs is `Service.here`: addresses, ports and the folders of volumes.
"""

import os
import re
import shutil
import signal
import subprocess
import time
from functools import cached_property
from pathlib import Path
from typing import Any

from backend.processes import die_with_parent
from tests.conftest import ROOT
from tests.containers.files import CODE, DOCKERFILE, ENTRYPOINT, read_compose
from tests.e2e.conftest import free_port

START_SECONDS = 300


class Service:
    """One service; `about` is its part of the file."""

    def __init__(self, name: str, about: dict[str, Any], stack: "Stack") -> None:
        self.name, self.about, self._stack = name, about, stack
        self._ours = "build" in about
        self._volumes = dict(reversed(volume.split(":")) for volume in about["volumes"])  # where it is mounted: its name
        self.processes: list[subprocess.Popen[bytes]] = []

    def here(self, text: str) -> str:
        """`text` from the file as it must be on this machine."""
        text = re.sub(r"\b(redis|server\.internal|label-studio)(?=:\d)|\b0\.0\.0\.0\b", "127.0.0.1", text)
        text = re.sub(r"(?<!\d)(6379|9090|8080|5432)(?!\d)", lambda match: self._stack.ports[match[1]], text)
        for target, volume in self._volumes.items():
            text = re.sub(rf"^{target}(?=/|$)", str(self._stack.folder / "volumes" / volume), text)
        return text

    @cached_property
    def environment(self) -> dict[str, str]:
        """What a container would see, and nothing of the tests' own."""
        wanted = (DOCKERFILE.envs if self._ours else {}) | self.about.get("environment", {})
        seen = {
            name: "127.0.0.1" if value == "postgres" else self.here(value) for name, value in wanted.items() if name != "PATH"
        }
        home = self._stack.folder / "home" / self.name
        home.mkdir(parents=True, exist_ok=True)
        return {"PATH": self._stack.path, "HOME": str(home)} | seen

    def run(self, command: list[str], **options: Any) -> "subprocess.CompletedProcess[str]":
        """`docker compose exec` of a command."""
        options = {"capture_output": True, "text": True, "env": self.environment, "cwd": self._cwd} | options
        return subprocess.run([self.here(word) for word in command], check=False, **options)

    def start(self, count: int = 1) -> None:
        """Start `count` processes with the service's command."""
        for volume in self._volumes.values():
            (self._stack.folder / "volumes" / volume).mkdir(parents=True, exist_ok=True)
        command = [self.here(word) for word in (ENTRYPOINT if self._ours else []) + self.about["command"]]
        with (self._stack.folder / f"{self.name}.log").open("ab") as log:
            for _ in range(count):
                process = subprocess.Popen(
                    command,
                    env=self.environment,
                    cwd=self._cwd,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    preexec_fn=lambda: die_with_parent(signal.SIGKILL),
                    user=self._stack.users.get(self.name),
                )
                self.processes.append(process)

    @property
    def _cwd(self) -> Path:
        return self._stack.app if self._ours else self._stack.folder

    def healthy(self) -> bool:
        """Whether its health check passes, within its time limit."""
        check = self.about["healthcheck"]
        kind, *command = check["test"]
        assert kind == "CMD"
        try:
            return self.run(command, timeout=seconds(check["timeout"])).returncode == 0
        except subprocess.TimeoutExpired:
            return False

    def wait(self) -> None:
        """Wait until it is healthy."""
        deadline = time.monotonic() + START_SECONDS
        while not self.healthy():
            assert not self.ended(), f"{self.name} ended with {self.ended()}"
            assert time.monotonic() < deadline, f"{self.name} is not healthy after {START_SECONDS} s"
            time.sleep(1)  # a check takes processor time from what it waits for

    def missing(self, count: int) -> bool:
        """Whether fewer than `count` processes run."""
        return len(self.processes) - len(self.ended()) < count

    def ended(self) -> list[int]:
        """Exit statuses of processes that ended."""
        return [status for process in self.processes if (status := process.poll()) is not None]

    def stop(self) -> bool:
        """Send its stop signal; whether all its processes ended in its grace period. Those that did not are killed."""
        for process in self.processes:
            process.send_signal(signal.Signals[self.about.get("stop_signal", "SIGTERM")])
        deadline = time.monotonic() + seconds(self.about["stop_grace_period"])
        while len(self.ended()) < len(self.processes) and time.monotonic() < deadline:
            time.sleep(0.1)
        all_ended = len(self.ended()) == len(self.processes)
        self.kill()
        return all_ended

    def kill(self) -> None:
        """End it without a chance to say good-bye."""
        for process in self.processes:
            process.kill()
            process.wait()
        self.processes = []


class Stack:
    """All services, for the variables `values` of a .env.

    path: folders of the images' programs; users: whose processes a service's are, where not ours.
    """

    def __init__(self, folder: Path, values: dict[str, str], path: list[Path], users: dict[str, str]) -> None:
        self.folder, self.users, self.app = folder, users, folder / "app"
        self.path = os.pathsep.join([*map(str, path), os.environ["PATH"]])
        self.ports = {port: str(free_port()) for port in ("6379", "9090", "8080", "5432")}
        for name in CODE:
            shutil.copytree(ROOT / name, self.app / name)
        self.services: dict[str, Service] = {}
        self.read(values)

    def read(self, values: dict[str, str]) -> None:
        """What `docker compose up -d` does with a changed .env: services that differ are started again."""
        self.values, again = values, {}
        for name, about in read_compose(values)["services"].items():
            old, new = self.services.get(name), Service(name, about, self)
            if old and old.about == about:
                continue
            self.services[name] = new
            if old and old.processes:
                again[name] = len(old.processes)
                old.stop()
        self.up(**again)

    def up(self, **counts: int) -> None:
        """Start so many processes of each service, after what it depends on is healthy, and wait for them all.

        A service that runs is left alone.
        """
        started = [service for name, count in counts.items() if (service := self.services[name]).missing(count)]
        for service in started:
            needed = service.about.get("depends_on", {})
            assert all(how == {"condition": "service_healthy"} for how in needed.values())
            self.up(**dict.fromkeys(needed, 1))
            service.kill()
            service.start(counts[service.name])
        for service in started:
            service.wait()

    def stop(self) -> dict[str, bool]:
        """`docker compose stop`: of each service that runs, whether it ended in its grace period; dependents first."""
        running = [service for service in self.services.values() if service.processes]
        return {service.name: service.stop() for service in reversed(running)}

    def down(self) -> None:
        """End everything."""
        for service in self.services.values():
            service.kill()
            log = self.folder / f"{service.name}.log"
            if log.exists():
                print(f"--- {service.name}\n{log.read_text(errors='replace')[-3000:]}")


def seconds(duration: str) -> int:
    """A duration of the file's."""
    assert duration.endswith("s"), duration
    return int(duration[:-1])
