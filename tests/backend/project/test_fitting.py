"""A worker that fits the server takes jobs, and any other says why not."""

import threading
from pathlib import Path

import pytest

from backend import __version__
from backend.project import fitting
from backend.project.fitting import base_of, keep_announcing, why_unfit
from backend.queue.signs import SERVER, announce, announced
from backend.records.state import ARITHMETIC, Projects
from model.networks.arithmetic import fastest
from model.storage.files import write_json
from tests.backend.queue.test_worker import wait_for


@pytest.fixture
def settings(make_settings, tmp_path):
    """With a file of weights, which is named by its content and never loaded."""
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"weights")
    return make_settings(model_weights=path)


def test_one_like_the_server_fits(settings, redis):
    announce(redis, base_of(settings))
    assert why_unfit(settings, redis) == ""


def test_it_fits_where_no_server_has_said_what_it_is(settings, redis):
    assert why_unfit(settings, redis) == ""


def test_one_of_another_version_does_not(settings, redis):
    announce(redis, base_of(settings))
    redis.hset(SERVER, "version", "0.1.0")
    assert why_unfit(settings, redis).startswith(f"it is of version {__version__}, the server of 0.1.0: install one version")


def test_one_with_another_file_of_weights_does_not(settings, redis, make_settings, tmp_path):
    announce(redis, base_of(settings))
    (tmp_path / "others.safetensors").write_bytes(b"other weights")
    others = make_settings(model_weights=tmp_path / "others.safetensors")
    assert why_unfit(others, redis).startswith(
        f"BACKBONE and MODEL_WEIGHTS name {base_of(others)} there, and {base_of(settings)}"
    )


def test_the_same_weights_may_lie_elsewhere(settings, redis, make_settings, tmp_path):
    announce(redis, base_of(settings))
    (tmp_path / "copy.safetensors").write_bytes(b"weights")
    assert why_unfit(make_settings(model_weights=tmp_path / "copy.safetensors"), redis) == ""


def test_one_without_the_weights_does_not(settings, redis, make_settings, tmp_path):
    announce(redis, base_of(settings))
    assert "is no file" in why_unfit(make_settings(model_weights=tmp_path / "nowhere"), redis)


def test_one_that_cannot_compute_as_the_embeddings_were_made_does_not(settings, redis):
    announce(redis, base_of(settings))
    write_json(settings.data_dir / ARITHMETIC, {"arithmetic": "float7"})
    assert "There is no arithmetic 'float7'" in why_unfit(settings, redis)


def test_one_with_another_store_does_not(settings, redis):
    announce(redis, base_of(settings), "s3://theirs/al")
    assert why_unfit(settings, redis) == "STORE is not set there, and s3://theirs/al where the server runs: give both the same"
    mine = settings.model_copy(update={"store": "s3://mine/al"})
    assert why_unfit(mine, redis).startswith("STORE is s3://mine/al there, and s3://theirs/al where the server runs")


def test_with_a_store_the_server_says_in_which_arithmetic_networks_compute(settings, redis):
    mine = settings.model_copy(update={"store": "s3://mine/al"})  # which is not asked, since it is not there
    announce(redis, base_of(settings), "s3://mine/al", fastest())
    assert why_unfit(mine, redis) == ""
    announce(redis, base_of(settings), "s3://mine/al", "float7")
    assert "There is no arithmetic 'float7'" in why_unfit(mine, redis)


def test_a_server_whose_own_weights_are_gone_is_asked_for_its_version_alone(settings, redis):
    announce(redis, "")
    assert why_unfit(settings, redis) == ""


def test_the_server_says_it_again_to_a_redis_that_has_lost_everything(settings, redis, monkeypatch):
    monkeypatch.setattr(fitting, "ANNOUNCE_SECONDS", 0.1)
    end = threading.Event()
    announcing = threading.Thread(target=keep_announcing, args=(settings, redis, end))
    announcing.start()
    wait_for(lambda: announced(redis).version, 10)
    redis.flushall()
    Projects(settings.data_dir).arithmetic()
    wait_for(lambda: announced(redis) == (__version__, base_of(settings), "", fastest()), 10)
    end.set()
    announcing.join()


def test_a_server_whose_weights_come_later_says_so(settings, redis, monkeypatch):
    """As where they are copied into a container that runs already."""
    monkeypatch.setattr(fitting, "ANNOUNCE_SECONDS", 0.1)
    content, end = settings.model_weights.read_bytes(), threading.Event()
    settings.model_weights.unlink()
    announcing = threading.Thread(target=keep_announcing, args=(settings, redis, end))
    announcing.start()
    wait_for(lambda: announced(redis).version, 10)
    assert announced(redis).base == ""
    settings.model_weights.write_bytes(content)
    wait_for(lambda: announced(redis).base == base_of(settings), 10)
    end.set()
    announcing.join()


def test_a_worker_that_may_not_read_the_weights_yet_says_so(settings, redis):
    announce(redis, base_of(settings))
    unreadable = settings.model_copy(update={"model_weights": Path("/proc/self/mem")})  # also by root
    assert "MODEL_WEIGHTS=/proc/self/mem cannot be read" in why_unfit(unreadable, redis)
