"""The loop that embeds images: each image costs itself alone, what is read is kept, reading overlaps the network."""

import threading
import time

import numpy as np
import pytest
from safetensors.numpy import load_file

from model.embeddings import embedding_loop
from model.embeddings.embedding_loop import SHARD, Prepared, embed_images
from model.embeddings.embedding_store import EmbeddingStore
from model.embeddings.images import ImageError
from model.networks.arithmetic import STREAMS

BATCH = 8
AHEAD, WAITING = embedding_loop.AHEAD * BATCH, embedding_loop.WAITING * BATCH  # images


def image(number):
    """An image that stands for `number`."""
    return Prepared(np.full((8, 8, 3), number % 251, np.uint8), "cut off" if number == 7 else "")


def network(images):
    """Embeddings that tell which image they are of."""
    return images[:, 0, 0].astype(np.float32)


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
            return embed_images(list(items), lambda item: item, read, embed, start.store, note, BATCH, **more)
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
    assert values[:, 0].tolist() == [number % 251 for number in range(n)]


def test_what_another_has_embedded_meanwhile_is_not_stored_twice(run, tmp_path):
    def read(number):
        if number == 5:
            EmbeddingStore(tmp_path / "store", 3).add([3, 4], np.full((2, 3), 9, np.float32))
        return image(number)

    assert run(range(6), read) == 6
    assert run.noted == dict.fromkeys(range(6))
    shards = (tmp_path / "store").glob("*.safetensors")
    assert sorted(key for shard in shards for key in load_file(shard)["keys"].tolist()) == list(range(6))


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

    tried = run(range(1000), read, seconds=1)
    assert 0 < tried < 1000
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


def test_progress_is_told_image_by_image(run):
    told = []
    run(range(2 * BATCH + 1), progress=told.append)
    assert told == list(range(1, 2 * BATCH + 2))


def of_shape(number):
    """An image of one of many shapes."""
    return Prepared(np.full((8, 8 + number % 5, 3), number % 251, np.uint8))


def test_images_of_many_shapes_get_their_own_embeddings_in_batches_of_one_shape(run):
    shapes = []

    def embed(images):
        shapes.append(images.shape)
        return network(images)

    assert run(range(203), of_shape, embed) == 203
    assert run.store.get(list(range(203)))[0][:, 0].tolist() == list(range(203))
    assert max(shape[0] for shape in shapes) == BATCH
    assert len(shapes) <= 203 // BATCH + 5


def test_an_image_of_a_rare_shape_waits_for_no_more_than_a_few_others(run):
    order = []

    def read(number):
        return Prepared(np.full((8 + number, 8, 3), 1, np.uint8)) if number < 2 * WAITING else image(number)

    def embed(images):
        order.append(images.shape)
        return network(images)

    run(range(4 * WAITING), read, embed)
    assert order[0][0] == 1  # alone, since too many wait
    assert run.found(range(4 * WAITING)) == [True] * 4 * WAITING


def test_no_more_batches_are_in_the_network_than_it_has_streams(run):
    inside, most, lock = [0], [0], threading.Lock()

    def embed(images):
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        time.sleep(0.01)
        with lock:
            inside[0] -= 1
        return network(images)

    run(range(8 * BATCH), embed=embed)
    assert most[0] == STREAMS
