"""A real object store on loopback: moto's server, which speaks S3."""

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from backend.bench.child import free_port
from backend.processes import die_with_parent
from model.storage.bucket import Bucket
from model.storage.documents import Documents, DocumentsOnDisk
from model.storage.documents_in_bucket import DocumentsInBucket

WAIT_SECONDS = 60


class ObjectStore:
    """One that can go away and come back, with all that it held: its process is stopped and goes on."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        self.port = free_port()
        self.url = f"http://{address}:{self.port}"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", address, "-p", str(self.port)],
            preexec_fn=lambda: die_with_parent(signal.SIGKILL),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._wait()

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs in its environment to use it."""
        return {
            "AWS_ACCESS_KEY_ID": "tests",
            "AWS_SECRET_ACCESS_KEY": "tests",
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.url,
        }

    def new_folder(self) -> str:
        """The address of a folder in a bucket of its own."""
        name = f"al-{uuid.uuid4().hex[:8]}"
        httpx.put(f"{self.url}/{name}").raise_for_status()
        return f"s3://{name}/folder"

    @contextmanager
    def away(self) -> Iterator[None]:
        """It answers nobody meanwhile: connections hang."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End it; what it held is lost."""
        self._process.kill()
        self._process.wait()

    def _wait(self) -> None:
        end = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                httpx.get(self.url)
                assert self._process.poll() is None, f"another server answers at {self.url}"
                return
            except httpx.TransportError:
                if time.monotonic() > end or self._process.poll() is not None:
                    raise
                time.sleep(0.1)


@pytest.fixture(scope="session")
def object_store() -> Iterator[ObjectStore]:
    """The server, in this process's environment too."""
    store, before = ObjectStore(), dict(os.environ)
    os.environ |= store.environment
    try:
        yield store
    finally:
        os.environ.clear()
        os.environ |= before
        store.close()


@pytest.fixture
def bucket(object_store: ObjectStore) -> Bucket:
    """An empty folder in an object store."""
    return Bucket(object_store.new_folder(), patience=1)


@pytest.fixture(params=["disk", "bucket"])
def documents(request: pytest.FixtureRequest, tmp_path: Path) -> Documents:
    """No documents yet: on a disk, and in a bucket."""
    if request.param == "disk":
        return DocumentsOnDisk(tmp_path)
    locks: dict[str, threading.Lock] = {}
    return DocumentsInBucket(request.getfixturevalue("bucket"), lambda name: locks.setdefault(name, threading.Lock()))
