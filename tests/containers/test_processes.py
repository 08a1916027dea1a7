"""The plugin's services, with the commands, environments and health checks of docker-compose.yml."""

import httpx
import pytest
from redis import Redis
from rq import Worker

from tests.e2e.conftest import wait_until


@pytest.mark.parametrize("name", ["redis", "server", "worker", "finetuner"])
def test_its_health_check_passes(stack, name):
    wait_until(stack.services[name].healthy, 60)  # the engine itself takes three failures in a row


@pytest.mark.parametrize("name", ["server", "worker"])
def test_its_health_check_fails_once_it_is_dead(stack, name):
    stack.services[name].kill()
    assert not stack.services[name].healthy()


def test_each_process_of_a_scaled_worker_registers_itself(stack):
    """One worker's sign of life makes the service healthy, so the others may still be starting."""
    redis = Redis(port=int(stack.ports["6379"]))
    started = {process.pid for process in stack.services["worker"].processes}
    wait_until(lambda: started <= {worker.pid for worker in Worker.all(connection=redis)}, 60, "every process is registered")


def test_redis_keeps_its_data_in_an_append_only_file_and_drops_nothing(stack):
    redis = Redis(port=int(stack.ports["6379"]))
    assert redis.config_get("appendonly") == {"appendonly": "yes"}
    assert redis.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_redis_keeps_it_in_its_volume(stack):
    assert list((stack.folder / "volumes" / "redis").glob("appendonly*"))


def test_the_server_asks_for_the_password(stack):
    url = f"http://127.0.0.1:{stack.ports['9090']}/versions"
    assert httpx.get(url).status_code == 401
    assert httpx.get(url, auth=("label-studio", stack.values["BASIC_AUTH_PASS"])).status_code == 200


def test_versions_and_embeddings_land_in_the_volume(stack):
    assert list((stack.folder / "volumes" / "data").iterdir())


def test_connect_says_that_the_token_is_missing(stack):
    server = stack.services["server"]
    without = server.environment | {"LABEL_STUDIO_API_KEY": ""}
    done = server.run(["python", "-m", "backend", "connect", "--project", "1"], env=without)
    assert done.returncode == 1
    assert "LABEL_STUDIO_API_KEY is not set: make a personal access token" in done.stderr
