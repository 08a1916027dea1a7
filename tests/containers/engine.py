"""A container engine, docker or podman, and docker-compose.yml run by it under a name of its own."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from tests.conftest import ROOT
from tests.containers.files import VARIABLES

BUILD_SECONDS, COMMAND_SECONDS = 3600, 600
ENGINES = {"docker": ["docker", "compose"], "podman": ["podman-compose"]}  # program: what runs compose files with it
Done = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Engine:
    """program: docker or podman; compose: the command that runs compose files."""

    program: str
    compose: list[str]

    def run(self, *arguments: str, ok: bool = True, seconds: float = COMMAND_SECONDS) -> Done:
        """`docker ARGUMENTS`. It must succeed unless ok is False."""
        return command([self.program, *arguments], ok, seconds)


def find_engine() -> Engine | None:
    """The first engine whose daemon, where it needs one, answers, and that runs compose files."""
    for program, compose in ENGINES.items():
        checks = ([program, "info"], [*compose, "version"])
        if all(shutil.which(check[0]) and command(check, ok=False).returncode == 0 for check in checks):
            return Engine(program, compose)
    return None


def command(words: list[str], ok: bool = True, seconds: float = COMMAND_SECONDS, **options: Any) -> Done:
    """Run a command; its output is captured."""
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=seconds, **options)
    assert done.returncode == 0 or not ok, f"{words} ended with {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done


def gateway(engine: Engine) -> str:
    """HOST_GATEWAY for this engine: podman before 4.7 wants an address, for which any of this machine's will do."""
    if engine.program == "docker":
        return "host-gateway"
    version = engine.run("version", "--format", "{{.Client.Version}}").stdout.split(".")
    if tuple(map(int, version[:2])) >= (4, 7):
        return "host-gateway"
    return next(address for address in command(["hostname", "-I"]).stdout.split() if "." in address)


def build(engine: Engine, tag: str, helper: Path) -> None:
    """Build the Dockerfile as `tag`; where the script `helper` made the base images, with its words on this machine's pip."""
    options = ["--tag", tag]
    if helper.exists() and engine.program == "podman":
        index = command([sys.executable, "-c", "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"]).stdout
        mounts = command([str(helper), "pip"]).stdout.split()
        options += ["--pull=never", "--network", "host", *mounts, "--build-arg", f"TORCH_INDEX={index.strip()}"]
    elif index := os.environ.get("TORCH_INDEX"):
        options += ["--build-arg", f"TORCH_INDEX={index}"]
    engine.run("build", *options, str(ROOT), seconds=BUILD_SECONDS)
    if engine.program == "podman":  # where podman-compose looks for a name without a registry
        engine.run("tag", f"localhost/{tag}", f"docker.io/library/{tag}")


class Compose:
    """docker-compose.yml with the profile `label-studio` and the variables `values` of its .env, kept in `folder`."""

    def __init__(self, engine: Engine, project: str, folder: Path, values: dict[str, str]) -> None:
        self.engine, self.project, self._folder = engine, project, folder
        self.values = values

    def run(self, *arguments: str, ok: bool = True) -> Done:
        """`docker compose --profile label-studio ARGUMENTS`."""
        example = self._folder / ".env"
        example.write_text("".join(f"{name}='{value}'\n" for name, value in self.values.items()))
        outside = {name: value for name, value in os.environ.items() if name not in VARIABLES}  # else they come before .env
        words = [*self.engine.compose, "-p", self.project, "--env-file", str(example), "-f", str(ROOT / "docker-compose.yml")]
        return command([*words, "--profile", "label-studio", *arguments], ok, env=outside, cwd=ROOT)

    def names(self, service: str = "", running: bool = True) -> list[str]:
        """Names of the containers of `service`, or of all services, in order."""
        labels = [f"label=com.docker.compose.project={self.project}"]
        labels += [f"label=com.docker.compose.service={service}"] if service else []
        filters = [word for label in labels for word in ("--filter", label)]
        return sorted(self.engine.run("ps", *([] if running else ["-a"]), *filters, "--format", "{{.Names}}").stdout.split())

    def exec(self, service: str, *words: str, ok: bool = True) -> Done:
        """`docker compose exec` in the first container of `service`."""
        return self.engine.run("exec", self.names(service)[0], *words, ok=ok)

    def python(self, service: str, code: str, ok: bool = True) -> Done:
        """Run Python `code` in the first container of `service`."""
        return self.exec(service, "python" if service in ("server", "worker", "finetuner") else "python3", "-c", code, ok=ok)

    def backend(self, *words: str, ok: bool = True) -> Done:
        """`docker compose exec server al-backend WORDS`."""
        return self.exec("server", "al-backend", *words, ok=ok)

    def status(self) -> dict[str, Any]:
        """What `status --json` says."""
        return json.loads(self.backend("status", "--json").stdout)

    def state(self, name: str) -> dict[str, Any]:
        """What the engine says of the container `name`: Status, ExitCode, Pid ..."""
        return json.loads(self.engine.run("inspect", name, "--format", "{{json .State}}").stdout)

    def logs(self) -> str:
        """The last lines of every container."""
        told = []
        for name in self.names(running=False):
            done = self.engine.run("logs", "--tail", "25", name, ok=False)
            told.append(f"--- {name}\n{done.stdout}{done.stderr}")
        return "\n".join(told)

    def stop(self, services: dict[str, dict[str, Any]]) -> None:
        """`docker compose stop`: dependents first, each with its own grace period.

        podman-compose stops Redis before the workers, and one worker of several, so for podman this does it by hand.
        """
        if self.engine.program == "docker":
            self.run("stop")
            return
        depend = {name: about.get("depends_on", {}) for name, about in services.items()}
        for service in reversed(list(TopologicalSorter(depend).static_order())):
            if names := self.names(service):
                self.engine.run("stop", "-t", services[service]["stop_grace_period"].removesuffix("s"), *names)

    def down(self) -> None:
        """Remove its containers, networks and volumes."""
        if self.engine.program == "podman":  # podman-compose knows of one container a service
            for name in self.names(running=False):
                self.engine.run("rm", "-f", "--depend", "-t", "0", name, ok=False)
        self.run("down", "-v", "-t", "1", ok=False)


def timed(action: Callable[[], Any]) -> float:
    """Seconds that `action` took."""
    started = time.monotonic()
    action()
    return time.monotonic() - started
