"""The loop that embeds images: each image costs itself alone, what is read is kept, reading overlaps the network."""

import threading
import time

import numpy as np
import pytest
import torch

from model.embedding_loop import AHEAD, BATCH, SHARD, Pixels, embed_images
from model.embedding_store import EmbeddingStore
from model.images import ImageError


def image(number):
    """An image that stands for `number`."""
    return Pixels(torch.full((3, 8, 8), float(number)), "cut off" if number == 7 else "")


def network(images):
    """Embeddings that tell which image they are of."""
    return images[:, :, 0, 0].numpy()


@pytest.fixture
def run(tmp_path):
    """Embed `items` into a store with keys 0, 1 ...; returns how many were tried and what was noted."""

    def start(items, read=image, embed=network, **more):
        start.noted, start.notes = {}, {}
        start.store = EmbeddingStore(tmp_path / "store", 3)

        def note(outcomes):
            start.notes |= {outcome.item: outcome.note for outcome in outcomes if outcome.note}
            start.noted |= {outcome.item: outcome.error for outcome in outcomes}

        try:
            return embed_images(list(items), lambda item: item, read, embed, start.store, note, **more)
        finally:
            start.store.refresh()

    start.found = lambda keys: start.store.get(list(keys))[1].tolist()
    return start


def refuse(bad, error):
    """Read images, but raise `error` for those in `bad`."""

    def read(number):
        if number in bad:
            raise error
        return image(number)

    return read


def test_every_image_gets_its_own_embedding(run):
    n = SHARD + BATCH + 3
    assert run(range(n)) == n
    values, found = run.store.get(list(range(n)))
    assert found.all()
    assert values[:, 0].tolist() == list(range(n))


def test_what_is_missing_of_an_image_is_told_of_that_image(run):
    run(range(10))
    assert run.notes == {7: "cut off"}


def test_nothing_to_do_is_done_at_once(run):
    assert run([]) == 0


def test_an_image_that_cannot_be_read_costs_itself_alone(run):
    error = ImageError("torn")
    assert run(range(5), refuse({1}, error)) == 5
    assert run.found(range(5)) == [True, False, True, True, True]
    assert run.noted == {0: None, 1: error, 2: None, 3: None, 4: None}


def test_images_that_cannot_be_read_at_all_are_all_noted(run):
    error = ImageError("torn")
    assert run(range(BATCH + 1), refuse(set(range(100)), error)) == BATCH + 1
    assert set(run.noted.values()) == {error}


def test_an_outage_is_raised_once_what_was_read_is_stored(run):
    with pytest.raises(ConnectionError):
        run(range(40), refuse({20}, ConnectionError()))
    assert run.found(range(20)) == [True] * 20


def test_an_outage_makes_no_image_unreadable(run):
    with pytest.raises(ConnectionError):
        run(range(40), refuse(set(range(20, 40)), ConnectionError()))
    assert not any(run.noted.values())


def test_an_outage_lets_no_more_images_be_asked_for_than_were_on_their_way(run):
    asked = []

    def read(number):
        asked.append(number)
        raise ConnectionError

    with pytest.raises(ConnectionError):
        run(range(10_000), read)
    assert len(asked) <= AHEAD


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 1e6])
def test_an_embedding_that_is_not_finite_is_the_fault_of_its_image(run, wrong):
    assert run([0, 1, 2], embed=lambda images: np.where(network(images) == 1, wrong, network(images))) == 3
    assert run.found(range(3)) == [True, False, True]
    assert "finite" in str(run.noted[1])


def test_what_was_embedded_before_the_network_failed_is_stored(run):
    batches = []

    def embed(images):
        batches.append(len(images))
        if len(batches) == 2:
            raise RuntimeError("out of memory")
        return network(images)

    with pytest.raises(RuntimeError, match="out of memory"):
        run(range(3 * BATCH), embed=embed)
    assert run.found(range(3 * BATCH)) == [True] * BATCH + [False] * 2 * BATCH


def test_out_of_time_the_rest_is_left_untried(run):
    def read(number):
        time.sleep(0.05)
        return image(number)

    tried = run(range(1000), read, seconds=0.2)
    assert 0 < tried < 200
    assert run.found(range(tried)) == [True] * tried
    assert len(run.noted) == tried


def test_images_are_read_while_the_network_works(run):
    read_meanwhile = threading.Event()

    def read(number):
        if number >= BATCH:
            read_meanwhile.set()
        return image(number)

    def embed(images):
        assert read_meanwhile.wait(10)
        return network(images)

    run(range(2 * BATCH), read, embed)
    assert run.found(range(2 * BATCH)) == [True] * 2 * BATCH


def test_one_slow_image_holds_up_no_reading_of_those_behind_it(run):
    rest = threading.Event()

    def read(number):
        if number == AHEAD - 1:
            rest.set()
        elif number == 0:
            assert rest.wait(10)
        return image(number)

    assert run(range(AHEAD), read) == AHEAD


def test_progress_is_told_batch_by_batch(run):
    told = []
    run(range(2 * BATCH + 1), progress=told.append)
    assert told == [BATCH, 2 * BATCH, 2 * BATCH + 1]
