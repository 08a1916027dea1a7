"""The server where what is known of projects lies in an object store, also while that is out of reach."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from backend.project.sharing import projects_of
from backend.server import app
from model.storage.documents_in_bucket import FRESH_SECONDS, SERVING_SECONDS


@pytest.fixture
def client(serve, object_store, make_settings, redis):
    """A server with a store, in which project 7 is connected."""
    here = {"store": object_store.new_folder(), "redis_url": f"unix://{redis.connection_pool.connection_kwargs['path']}"}
    with projects_of(make_settings(**here)).edit(7) as state:
        state.connected = True
    return serve(**here, label_studio_url="http://127.0.0.1:1", label_studio_api_key="x")


def start_training(client, project=7):
    return client.post("/webhook", json={"action": "START_TRAINING", "project": project})


def test_webhooks_mean_what_the_state_in_the_store_says(client):
    assert start_training(client).json() == {"job": "round-7-0"}
    assert "not connected" in start_training(client, 8).json()["ignored"]


def test_while_the_store_is_away_webhooks_are_answered_by_what_is_known(client, object_store):
    start_training(client)
    took = []
    with object_store.away():
        time.sleep(FRESH_SECONDS)
        for _ in range(40):
            began = time.monotonic()
            assert start_training(client).json() == {"job": "round-7-0"}
            took.append(time.monotonic() - began)
            time.sleep(0.02)
    assert sorted(took)[20] < SERVING_SECONDS, "each would wait so long for the store"


def test_what_nobody_knows_while_the_store_is_away_is_told_and_holds_up_nobody(client, object_store):
    app._plugin()  # imports torch, which holds up everybody once
    with object_store.away(), ThreadPoolExecutor() as threads:
        waiting = [threads.submit(start_training, client, 8)]
        waiting += [
            threads.submit(client.post, path, json={"project": 8, "tasks": [{"id": 1, "project": 8}]}) for path in ("/predict",)
        ]
        time.sleep(0.2)
        for _ in range(10):
            began = time.monotonic()
            assert client.get("/health").status_code == 200
            assert time.monotonic() - began < 1
        answers = [one.result() for one in waiting]
    assert [answer.status_code for answer in answers] == [503, 503]
    for answer in answers:
        assert answer.json()["detail"].startswith("STORE=s3://")
