"""`make measure IMAGES=DIR`: how long a Submit takes to move the queue, and how fast webhooks answer while a worker trains.

Starts a Label Studio and the plugin of its own, imports images, labels them by their folders through "next", and prints
what it saw.
"""

import argparse
import os
import statistics
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np

from backend.bench.plugin import ROOT, Plugin
from backend.labelstudio.client import LabelStudio
from backend.simulate.folder import images_by_class
from tools import label_studio as ls

RETRAIN_AFTER = 10
BURST, BURSTS = 50, 20


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip())
    parser.add_argument("--images", type=Path, required=True, help="a folder with a sub-folder of images for each class")
    parser.add_argument("--count", type=int, default=1000, help="how many of them")
    parser.add_argument("--rounds", type=int, default=10, help="rounds that are timed")
    parser.add_argument("--data", type=Path, default=ROOT / "data" / "measure", help="where everything is kept between runs")
    options = parser.parse_args()
    data: Path = options.data.resolve()
    server = ls.LabelStudioServer(ROOT / ".venv-label-studio", data / "label-studio", 8180)
    plugin: Plugin | None = None
    try:
        server.start()
        client = server.client()
        by_class = images_by_class(options.images)
        named = dict(list(ls.anonymous_names(by_class).items())[: options.count])
        project = ls.find_or_make_project(client, f"Measure {time.strftime('%Y-%m-%d %H:%M:%S')}", list(by_class))
        ls.import_images(client, project, named, lambda *_: None)
        values = {"LABEL_STUDIO_URL": server.url, "LABEL_STUDIO_API_KEY": server.personal_access_token()}
        values |= {
            "DATA_DIR": str(data / "plugin"),
            "PORT": "9190",
            "RETRAIN_AFTER": str(RETRAIN_AFTER),
            "LOG_LEVEL": "WARNING",
        }
        values |= {"MODEL_WEIGHTS": str(Path(os.environ["MODEL_WEIGHTS"]).resolve())} if os.environ.get("MODEL_WEIGHTS") else {}
        plugin = Plugin(values)
        plugin.start()
        started = time.monotonic()
        if plugin.command("connect", "--project", str(project)).returncode:
            return 1
        print(f"{len(named)} images: first queue {time.monotonic() - started:.1f} s after connect (embedding included)")
        time_rounds(client, project, named, options.rounds)
        time_webhooks(client, project)
    finally:
        if plugin:
            plugin.stop()
        server.stop()
    return 0


def time_rounds(client: LabelStudio, project: int, named: dict[str, tuple[str, Path]], rounds: int) -> None:
    """Label by folder through "next"; from the last Submit of each RETRAIN_AFTER, wait for the queue to follow."""
    seconds: list[float] = []
    for _ in range(rounds):
        for _ in range(RETRAIN_AFTER):
            task = client.request("GET", f"/api/projects/{project}/next")
            value = {"choices": [named[ls.name_of(task)][0]]}
            result = [{"from_name": "choice", "to_name": "image", "type": "choices", "value": value}]
            before = client.project(project)["model_version"]
            client.request("POST", f"/api/tasks/{task['id']}/annotations/", json={"result": result})
        submitted = time.monotonic()
        while client.project(project)["model_version"] == before:
            time.sleep(0.05)
        seconds.append(time.monotonic() - submitted)
    print(
        f"Submit to switched queue, {rounds} rounds, {RETRAIN_AFTER} to {rounds * RETRAIN_AFTER} labels: "
        f"median {statistics.median(seconds):.2f} s, longest {max(seconds):.2f} s"
    )


def time_webhooks(client: LabelStudio, project: int) -> None:
    """Bursts of simultaneous webhooks, each of which also keeps a worker training."""
    payload = {"action": "ANNOTATION_CREATED", "project": {"id": project}, "annotation": {"id": 1, "was_cancelled": False}}
    barrier = threading.Barrier(BURST)
    first = client.project(project)["model_version"]

    def post(http: httpx.Client) -> list[float]:
        times = []
        for _ in range(BURSTS):
            barrier.wait()
            started = time.perf_counter()
            http.post("/webhook", json=payload).raise_for_status()
            times.append(time.perf_counter() - started)
            time.sleep(0.5)
        return times

    clients = [httpx.Client(base_url="http://127.0.0.1:9190", timeout=30) for _ in range(BURST)]
    for http in clients:
        http.get("/health")
    with ThreadPoolExecutor(BURST) as pool:
        times = np.array([t for found in pool.map(post, clients) for t in found]) * 1000
    trained = client.project(project)["model_version"]
    print(
        f"/webhook, {BURSTS} bursts of {BURST} at once while rounds ran ({first} -> {trained}): "
        f"median {np.median(times):.0f} ms, 99th percentile {np.percentile(times, 99):.0f} ms, longest {times.max():.0f} ms"
    )


if __name__ == "__main__":
    sys.exit(main())
