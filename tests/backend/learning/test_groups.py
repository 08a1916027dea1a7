"""Which look-alikes a round offers to be labelled together."""

from dataclasses import replace

import numpy as np
import pytest

from backend.learning import groups
from backend.learning.groups import LEAST, MOST, MOST_GROUPS, ODD, find_groups
from backend.learning.random_sample import random_sample
from backend.learning.rounds import Labelled, Pool, Ranking, Rules, rank, train
from tests.strategies.made_up import clusters

NONE = np.zeros(0, np.int64)
TASKS, CLASSES, EXPLORE = 1200, 4, 0.1


@pytest.fixture(scope="module")
def house():
    """Four classes that hardly overlap: 80 labelled images, and a pool of 1120, in the order of tasks 1 to 1200."""
    embeddings, truth = clusters([TASKS // CLASSES] * CLASSES, noise=0.35)
    order = np.random.default_rng(0).permutation(TASKS)
    return House(embeddings[order], truth[order])


class House:
    def __init__(self, embeddings, truth, labels=80):
        self.embeddings, self.truth = embeddings, truth
        tasks = 1 + np.arange(len(truth))
        done = np.arange(len(truth)) < labels
        sample = random_sample(tasks, done, np.zeros(len(tasks), bool), EXPLORE)
        labelled = np.ones(labels, bool)
        self.labelled = Labelled(tasks[done], truth[done], embeddings[done], sample.weights[done], labelled)
        self.pool = Pool(tasks[~done], embeddings[~done], sample.turns[~done])
        self.head, _ = train(self.labelled, self.pool, CLASSES)
        self.ranking = rank(self.head, self.pool, self.labelled, Rules("margin", 60, EXPLORE, 10), "al-1")

    def find(self, apart=NONE, explore=EXPLORE, **changes):
        asked = {"head": self.head, "pool": self.pool, "ranking": self.ranking, "tasks": TASKS} | changes
        return find_groups(**asked, explore=explore, apart=apart)

    def of(self, tasks):
        return self.truth[tasks - 1]


def members(found):
    return np.concatenate([group.tasks for group in found])


def test_a_group_is_one_screen_of_the_head_s_class(house):
    found = house.find()
    assert found
    for group in found:
        assert LEAST <= len(group.tasks) <= MOST
        probabilities = house.head.probabilities(house.embeddings[group.tasks - 1])
        assert (probabilities.argmax(axis=1) == group.label).all()
        assert group.confidences == pytest.approx(probabilities[:, group.label], abs=1e-5)


def test_groups_have_no_image_in_common(house):
    tasks = members(house.find())
    assert len(set(tasks.tolist())) == len(tasks)


def test_each_is_for_a_pick_in_the_order_of_the_strategy(house):
    picks = house.ranking.tasks[~house.ranking.slots].tolist()
    firsts = [int(group.tasks[0]) for group in house.find()]
    assert [picks.index(task) for task in firsts] == sorted(picks.index(task) for task in firsts)


def test_its_images_look_like_the_pick_rather_than_like_others_of_their_class(house):
    group = house.find()[0]
    pick, rest = house.embeddings[group.tasks[0] - 1], house.embeddings[group.tasks[1:] - 1]
    same = house.pool.tasks[house.of(house.pool.tasks) == group.label]
    assert (rest @ pick).mean() > (house.embeddings[same - 1] @ pick).mean()


def test_few_of_it_are_expected_to_be_odd_and_few_are(house):
    found = house.find()
    assert all(group.odd <= ODD * len(group.tasks) for group in found if len(group.tasks) > LEAST)
    assert np.mean([(house.of(group.tasks) != group.label).mean() for group in found]) <= 2 * ODD


def test_an_uncertain_image_is_left_out_of_the_groups_of_others(house):
    unsure = house.head.probabilities(house.pool.embeddings).max(axis=1) < groups.SURE
    left_out = set(house.pool.tasks[unsure].tolist())
    assert not any(left_out & set(group.tasks[1:].tolist()) for group in house.find())


def test_a_head_that_saw_few_labels_is_believed_less(house):
    few = replace(house.head, counts=np.full(CLASSES, 2))
    assert sum(len(group.tasks) for group in house.find(head=few)) < len(members(house.find()))


def test_tasks_sent_ahead_stay_out(house):
    before = members(house.find())
    assert not set(members(house.find(apart=before[::2])).tolist()) & set(before[::2].tolist())


def test_no_task_that_the_random_sample_can_ever_draw_is_in_a_group(house):
    offered = set(members(house.find()).tolist())
    tasks = 1 + np.arange(TASKS)
    nobody = np.zeros(TASKS, bool)
    for labels in (100, 600, TASKS - 1):
        done = tasks <= labels
        drawn = random_sample(tasks, done, nobody, EXPLORE).drawn
        assert not offered & set(tasks[drawn].tolist())


def test_without_random_slots_every_image_may_be_in_a_group(house):
    first = house.pool.tasks[house.pool.turns <= 60]
    assert set(members(house.find(explore=0.0)).tolist()) & set(first.tolist())


@pytest.mark.parametrize("head", [None, "one class"])
def test_before_two_classes_are_known_there_are_no_groups(house, head):
    head = replace(house.head, counts=np.array([5, 0, 0, 0])) if head else None
    ranking = Ranking(house.ranking.tasks, house.ranking.places, house.ranking.slots, None)
    assert house.find(head=head, ranking=ranking) == []


def test_there_are_no_more_groups_than_a_day_of_work(house):
    ranking = Ranking(house.pool.tasks, np.arange(len(house.pool.tasks)), np.zeros(len(house.pool.tasks), bool), None)
    assert len(house.find(ranking=ranking)) <= MOST_GROUPS


def test_a_pool_too_small_for_a_group_has_none(house):
    rows = np.flatnonzero(house.pool.turns > EXPLORE * TASKS)[: LEAST - 1]
    small = house.pool.only(rows)
    ranking = Ranking(small.tasks, np.arange(len(rows)), np.zeros(len(rows), bool), None)
    assert house.find(pool=small, ranking=ranking) == []
    assert house.find(pool=small.only(rows[:0]), ranking=ranking) == []


def test_an_image_whose_embedding_is_damaged_is_in_no_group(house):
    tasks = house.find()[0].tasks
    embeddings = house.pool.embeddings.copy()
    broken = np.isin(house.pool.tasks, tasks[1:4])
    embeddings[broken] = np.nan
    found = house.find(pool=replace(house.pool, embeddings=embeddings))
    assert not set(members(found).tolist()) & set(house.pool.tasks[broken].tolist())


@pytest.mark.parametrize("in_groups", [0.9, 0.0])
def test_f1_stays_fair_however_many_labels_come_from_groups_and_however_wrong_they_are(in_groups):
    """By the random sample a class has its share, over projects whose groups hold easy images alone and mislabel a fifth."""
    shares = [share_of_hard(seed, in_groups) for seed in range(40)]
    assert np.mean(shares) == pytest.approx(0.3, abs=3 * np.std(shares) / np.sqrt(40) + 0.005)


def share_of_hard(seed, in_groups, tasks=2000, labels=1000):
    random = np.random.default_rng(seed)
    ids = 1 + 10_000 * seed + np.arange(tasks)
    hard = random.random(tasks) < 0.3
    said = hard.copy()
    done = np.zeros(tasks, bool)
    nobody = np.zeros(tasks, bool)
    sample = random_sample(ids, done, nobody, EXPLORE)
    while done.sum() < labels:
        easy = np.flatnonzero(~done & ~hard & (sample.turns > np.ceil(EXPLORE * tasks)))
        if random.random() < in_groups and len(easy) > 20:
            grid = random.choice(easy, 20, replace=False)
            done[grid] = True
            said[grid] = random.random(20) < 0.2
        due = np.flatnonzero(~done & (sample.turns <= EXPLORE * (done.sum() + 1)))
        picks = np.flatnonzero(~done)[np.argsort(~hard[~done], kind="stable")][:5]
        done[due] = done[picks] = True
        sample = random_sample(ids, done, nobody, EXPLORE, sample.strata)
    weights = sample.weights
    return float(weights @ said / weights.sum())
