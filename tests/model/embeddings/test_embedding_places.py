"""Where the embedding of each key lies: the same as a dictionary would say, whatever shards come and go."""

from pathlib import Path

import numpy as np
import pytest

from model.embeddings.embedding_places import Places


def as_dict(places, keys):
    """What is known of `keys`: shard and row by key."""
    asked = np.array(keys, np.int64)
    return {
        int(key): (shard, int(row))
        for shard, positions, rows in places.by_shard(asked)
        for key, row in zip(asked[positions], rows, strict=True)
    }


@pytest.mark.parametrize("seed", range(20))
def test_it_says_what_a_dictionary_says(seed):
    random, places, known = np.random.default_rng(seed), Places.none(), {}
    for step in range(12):
        shard = Path(f"{random.integers(4)}-{step if random.random() < 0.7 else 0}")
        act = random.integers(3)
        if act == 0:
            places = places.without(places.in_shard(shard))
            known = {key: place for key, place in known.items() if place[0] != shard}
        elif act == 1:
            gone = random.integers(30, size=3)
            places = places.without(np.isin(places.keys, gone))
            known = {key: place for key, place in known.items() if key not in gone}
        else:
            keys = random.integers(-1, 30, size=random.integers(10))
            places = places.with_shards({shard: keys})
            known |= {key: (shard, row) for row, key in enumerate(keys.tolist()) if key >= 0}
        assert as_dict(places, range(30)) == known
        assert places.find(np.arange(30))[1].tolist() == [key in known for key in range(30)]


def test_of_shards_added_together_the_last_has_the_key():
    places = Places.none().with_shards({Path("a"): np.array([5, 6]), Path("b"): np.array([7, 5])})
    assert as_dict(places, [5, 6, 7]) == {5: (Path("b"), 1), 6: (Path("a"), 1), 7: (Path("b"), 0)}


def test_keys_asked_for_twice_are_found_twice():
    ((_, positions, rows),) = Places.none().with_shards({Path("a"): np.array([5, 6])}).by_shard(np.array([6, 9, 6]))
    assert (positions.tolist(), rows.tolist()) == ([0, 2], [1, 1])


def test_a_million_keys_take_16_bytes_each():
    places = Places.none().with_shards({Path("a"): np.arange(1_000_000)})
    assert places.keys.nbytes + places.numbers.nbytes + places.rows.nbytes == 16_000_000
