"""The plugin itself: settings, network, DATA_DIR, the server, and the machine beneath it."""

import os
import shutil
import uuid
from pathlib import Path

from backend.connection.answering import local_url, who_answers
from backend.doctor.case import House
from backend.doctor.finding import Finding, ok, warning, wrong
from backend.project.sharing import bucket_of
from backend.project.wanted import check_settings
from backend.records.state import ARITHMETIC, DataDirError
from backend.settings import SettingsError
from model.networks.weights_file import WeightsError
from model.storage.bucket import Changed

GB = 1_000_000_000
DISK_WRONG, DISK_WARNING = 0.5, 5.0  # GB free; 2,000 photos' embeddings take 16 MB, a retrained ResNet50 100 MB
MEMORY_WRONG, MEMORY_WARNING = 0.3, 1.0  # GB that a job could still take; ResNet50 takes about 1
MEMINFO, CGROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup")


def settings(house: House) -> Finding:
    """Settings that can be, but hardly are what was meant; those that cannot be stop every command."""
    if house.doubts:
        return warning(" ".join(house.doubts), "`al-backend settings` lists all with their values")
    return ok(f"Label Studio at {house.settings.label_studio_url}, the plugin at {house.settings.backend_url}")


def network(house: House) -> Finding:
    """The network that images go through, and its weights."""
    s = house.settings
    try:
        check_settings(s)
    except (WeightsError, SettingsError) as error:
        return wrong(str(error), "set BACKBONE and MODEL_WEIGHTS to a network and its weights")
    return ok(f"{s.backbone}, weights {s.model_weights or 'of its library'}")


def store(house: House) -> Finding:
    """The object store, where there is one: it answers, may be written, and keeps machines from overwriting each other."""
    url = house.settings.store
    if not url:
        return ok("not set: DATA_DIR holds all there is")
    bucket, name = bucket_of(house.settings), f".doctor-{uuid.uuid4().hex}"
    bucket.read(name, at_once=True)  # a store that does not answer is told of in seconds
    bucket.write(name, b"", expected="")
    try:
        bucket.write(name, b"", expected="")
    except Changed:
        return ok(url)
    finally:
        bucket.remove(name)
    return wrong(
        f"STORE={url} lets one machine overwrite what another has written meanwhile",
        "take a store with conditional writes, as Amazon S3, Google Cloud Storage, Azure and MinIO have them",
    )


def data_folder(house: House) -> Finding:
    """DATA_DIR: used before, of our format, and ours to write to."""
    folder = house.settings.data_dir
    try:
        house.projects.check()
    except DataDirError as error:
        return wrong(str(error), "start `al-backend up`, with the same settings as this command")
    locked = [path for path in (folder, house.projects.root, folder / ARITHMETIC) if path.exists() and not _is_ours(path)]
    if locked:
        return wrong(f"this user may not write to {locked[0]}", "run all parts of the plugin as one user, who owns DATA_DIR")
    return ok(str(folder))


def server(house: House) -> Finding:
    """The server on this machine, or at BACKEND_URL, that works with the same DATA_DIR."""
    s, identity = house.settings, house.projects.identity()
    here, there = local_url(s.host, s.port), s.backend_url
    answers = {url: who_answers(url) for url in dict.fromkeys((there, here))}
    if answers[there].identity == identity:
        return ok(f"answers at {there}")
    if answers[there].identity:
        return wrong(
            f"an active-learning plugin with another DATA_DIR answers at BACKEND_URL={there}",
            "set PORT and BACKEND_URL to this one's, or DATA_DIR to that one's",
        )
    if answers[there].reached:
        return wrong(f"BACKEND_URL={there}: {answers[there].trouble}", "set PORT and BACKEND_URL to those of `al-backend up`")
    if answers[here].identity == identity:
        return ok(f"answers at {here}; BACKEND_URL={there} is not for this machine ({answers[there].trouble})")
    return wrong(
        f"BACKEND_URL={there}: {answers[there].trouble}",
        "start `al-backend up` in a terminal of its own, with the same settings",
    )


def disk(house: House) -> Finding:
    """Room for embeddings and versions."""
    folder = next(path for path in (house.settings.data_dir, *house.settings.data_dir.parents) if path.exists())
    free = free_disk(folder) / GB
    if free < DISK_WRONG:
        return wrong(f"{free:.2f} GB free for {house.settings.data_dir}", "make room there, or set DATA_DIR to another disk")
    if free < DISK_WARNING:
        return warning(f"{free:.1f} GB free for {house.settings.data_dir}", "make room before it fills")
    return ok(f"{free:.0f} GB free")


def memory(_: House) -> Finding:
    """Memory for a job: a worker that has none left is killed."""
    left = free_memory()
    if left is None:
        return ok("this system does not say")
    free = left / GB
    if free < MEMORY_WRONG:
        return wrong(
            f"{free:.2f} GB left: workers get killed", "end what takes the memory, or give the machine or container more"
        )
    if free < MEMORY_WARNING:
        return warning(f"{free:.1f} GB left, a job takes about 1 GB", "give the machine or container more")
    return ok(f"{free:.1f} GB left")


def free_disk(folder: Path) -> int:
    """Bytes that may still be written in `folder`."""
    return shutil.disk_usage(folder).free


def free_memory(meminfo: Path = MEMINFO, cgroup: Path = CGROUP) -> int | None:
    """Bytes that processes may still take, of the machine's or, where that is less, of the container's; None where nobody
    says."""
    found = [value for value in (_available(meminfo), _left_in(cgroup)) if value is not None]
    return min(found, default=None)


def _available(meminfo: Path) -> int | None:
    try:
        values = dict(line.split(":", 1) for line in meminfo.read_text().splitlines() if ":" in line)
        return int(values["MemAvailable"].split()[0]) * 1024
    except (OSError, ValueError, LookupError):
        return None


def _left_in(cgroup: Path) -> int | None:
    """What the limit of a container leaves; what it keeps of files counts as free."""
    try:
        limit = int((cgroup / "memory.max").read_text())
        used = int((cgroup / "memory.current").read_text())
        kept = dict(line.split() for line in (cgroup / "memory.stat").read_text().splitlines())
        return limit - used + int(kept.get("inactive_file", 0))
    except (OSError, ValueError):  # the limit is "max"
        return None


def _is_ours(path: Path) -> bool:
    return os.access(path, os.W_OK)
