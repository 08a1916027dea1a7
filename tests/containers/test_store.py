"""docker-compose.yml with STORE on a bucket, and its worker scaled: what all have in common lies in the store."""

import sys
import tempfile
from pathlib import Path

import pytest
from safetensors.numpy import load

from backend.bench.label_studio import label_config
from backend.queue.redis_server import newest_redis
from model.storage.bucket import Bucket
from tests.chaos.house import CLASSES, photo
from tests.containers.files import VALUES
from tests.containers.services import Stack
from tests.e2e.conftest import wait_until
from tests.label_studio_in_memory import TOKEN, LabelStudioInMemory

IMAGES, WORKERS = 40, 2
COMMAND = ["python", "-m", "backend"]


@pytest.mark.soak
def test_scaled_workers_embed_and_learn_by_way_of_the_store(weights, object_store):
    url = object_store.new_folder()
    with LabelStudioInMemory() as studio, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        project = studio.add_project(label_config(CLASSES), [f"/data/upload/{n}.png" for n in range(IMAGES)])
        studio.files |= {f"/data/upload/{n}.png": photo(n) for n in range(IMAGES)}
        ours = {"STORE": url, "MODEL_WEIGHTS": str(weights), "LABEL_STUDIO_URL": studio.url, "LABEL_STUDIO_API_KEY": TOKEN}
        path = [Path(sys.executable).parent, Path(str(newest_redis()[0])).parent]
        stack = Stack(Path(name), VALUES | object_store.environment | ours, path, {})
        try:
            stack.up(server=1, worker=WORKERS)
            done = stack.services["server"].run([*COMMAND, "connect", "--project", str(project)])
            assert done.returncode == 0, done.stdout + done.stderr
            for task in sorted(studio.tasks)[:10]:
                number = int(studio.tasks[task]["data"]["image"].rsplit("/", 1)[1].split(".")[0])
                studio.label(task, CLASSES[number % 2])
            done = stack.services["server"].run([*COMMAND, "retrain", "--project", str(project)])
            assert done.returncode == 0, done.stdout + done.stderr
            bucket, live = Bucket(url), str(studio.projects[project]["model_version"])
            found = bucket.read(f"projects/{project}/versions/{live}/labels.safetensors")
            assert found, f"{live} is not in the store"
            assert len(load(found.data)["tasks"]) == 10
            wait_until(lambda: embedded(bucket, project) == IMAGES, 60, "every image's embedding is in the store")
            own = stack.folder / "volumes" / "data"
            assert not (own / "projects" / str(project) / "versions").exists()  # there are copies alone
        finally:
            stack.down()


def embedded(bucket, project):
    """Embeddings in the store."""
    names = [name for name in bucket.objects(f"projects/{project}/embeddings") if name.endswith(".safetensors")]
    return len({key for name in names for key in load(bucket.read(name).data)["keys"].tolist()})
