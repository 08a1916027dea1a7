"""PostgreSQL from the package pgserver, as its image prepares it: a database and a user with a password."""

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

from tests.containers.services import Service

UNPRIVILEGED = "nobody"  # PostgreSQL refuses to run as root
# The one departure from docker-compose.yml: the package, unlike the image, has no pg_trgm and btree_gin for search indexes.
WITHOUT_EXTENSIONS = {"SKIP_TRIGRAM_EXTENSION": "full", "SKIP_BTREE_GIN_EXTENSION": "full"}


def programs(folder: Path) -> Path:
    """Where initdb, postgres and pg_isready are: a copy in `folder`, since another user may not reach the package."""
    spec = find_spec("pgserver")
    assert spec
    assert spec.origin
    package = Path(spec.origin).parent
    for name in ("pgserver/pginstall", "pgserver.libs"):  # the programs find their libraries beside themselves
        shutil.copytree(package.parent / name, folder / name, symlinks=True)
    return folder / "pgserver" / "pginstall" / "bin"


def user() -> str | None:
    """Whose processes PostgreSQL's are, None for those of whoever runs the tests."""
    return UNPRIVILEGED if os.getuid() == 0 else None


def make_database(service: Service) -> None:
    """What the image's entry point does at its first start."""
    about = service.environment
    data = Path(about["PGDATA"])
    data.mkdir(parents=True)
    password = data.with_suffix(".password")
    password.write_text(about["POSTGRES_PASSWORD"])
    for path in (data, password):
        shutil.chown(path, user() or os.getuid())
    initdb = ["initdb", "--username", about["POSTGRES_USER"], "--pwfile", str(password), "--auth", "scram-sha-256"]
    service.run([*initdb, "--encoding", "UTF8", "--no-sync"], user=user()).check_returncode()
    create = f"CREATE DATABASE {about['POSTGRES_DB']};\n"
    service.run(["postgres", "--single", "postgres"], input=create, user=user()).check_returncode()
