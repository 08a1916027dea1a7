"""A PostgreSQL of one's own on loopback, with the programs that Debian's package `postgresql` brings."""

import os
import secrets
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from pwd import getpwnam

from backend.bench.child import START_SECONDS, Child, free_port

NAME = "labelstudio"  # of the database and of its user
UNPRIVILEGED = "nobody"  # PostgreSQL refuses to run as root
DEBIAN = Path("/usr/lib/postgresql")


def find_programs() -> Path | None:
    """The folder that holds initdb and postgres: that of the PATH, or of Debian's newest; None where there is none."""
    on_path = shutil.which("initdb")
    folders = [Path(on_path).resolve().parent] if on_path else []
    folders += sorted(DEBIAN.glob("*/bin"), key=lambda folder: int(folder.parent.name), reverse=True)
    return next((folder for folder in folders if (folder / "postgres").is_file()), None)


class PostgreSQL(Child):
    """A server with the programs in `programs` and its data in a new folder below `place`, gone once it has stopped."""

    def __init__(self, programs: Path, place: Path) -> None:
        super().__init__("", "")
        self._programs, self._place, self._port, self._password = programs, place, free_port(), secrets.token_hex()

    def start(self) -> None:
        """Make the database and serve it. Raises RuntimeError."""
        self._folder = Path(tempfile.mkdtemp(prefix="al-postgresql-", dir=self._place))
        password = self._folder / "password"
        password.touch(mode=0o600)
        password.write_text(self._password)
        if not os.getuid():
            shutil.chown(self._folder, UNPRIVILEGED)
            shutil.chown(password, UNPRIVILEGED)
        data = str(self._folder / "data")
        self._run("initdb", "-D", data, "-U", NAME, "--pwfile", str(password), "--auth", "scram-sha-256", "-E", "UTF8")
        options = ["-p", str(self._port), "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={self._folder}"]
        with (self._folder / "log").open("wb") as log:
            self.spawn(self._command("postgres", "-D", data, *options), os.environ, self._folder, log)
        deadline = time.monotonic() + START_SECONDS
        while self.alive() and time.monotonic() < deadline:
            try:
                return self._run("createdb", "-h", "127.0.0.1", "-p", str(self._port), "-U", NAME, NAME)
            except RuntimeError:
                time.sleep(0.5)
        raise RuntimeError(f"PostgreSQL did not start: {(self._folder / 'log').read_text()[-500:]}")

    def stop(self) -> None:
        """Stop it and remove its data."""
        super().stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def environment(self) -> dict[str, str]:
        """What lets a Label Studio use it."""
        about = {"HOST": "127.0.0.1", "PORT": str(self._port), "NAME": NAME, "USER": NAME, "PASSWORD": self._password}
        return {"DJANGO_DB": "default"} | {f"POSTGRE_{name}": value for name, value in about.items()}

    def _command(self, program: str, *arguments: str) -> list[str]:
        """`program` as a user who is not root, that ends with this process."""
        command = [str(self._programs / program), *arguments]
        if os.getuid():
            return command
        group = getpwnam(UNPRIVILEGED).pw_gid
        return ["setpriv", f"--reuid={UNPRIVILEGED}", f"--regid={group}", "--clear-groups", "--pdeathsig=TERM", *command]

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            self._command(program, *arguments),
            cwd=self._folder,
            env=os.environ | {"PGPASSWORD": self._password},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{program} of PostgreSQL: {done.stderr.strip()[-500:]}")
