"""What people sent to the head of the queue, as it is kept."""

import pytest

from backend.records.ahead import FILE, MOST, Ahead, TooManyAhead


@pytest.fixture
def ahead(documents):
    return Ahead(documents)


def test_what_was_sent_first_stands_first(ahead):
    ahead.send([7, 3], "ann@example.org")
    ahead.send([5, 3], "bob@example.org")
    assert [(sent.task, sent.who) for sent in ahead.read()] == [
        (7, "ann@example.org"),
        (3, "ann@example.org"),
        (5, "bob@example.org"),
    ]


def test_what_is_let_go_is_there_no_more(ahead):
    ahead.send([7, 3], "ann")
    ahead.let_go([7, 9])
    assert ahead.tasks().tolist() == [3]


def test_the_head_takes_no_more_than_it_says(ahead):
    ahead.send(range(MOST), "ann")
    with pytest.raises(TooManyAhead, match=f"takes {MOST} images, {MOST} are there"):
        ahead.send([MOST + 1], "ann")
    assert ahead.tasks().tolist() == list(range(MOST))


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"task": 1}', '[{"task": "x", "who": "ann", "when": 1}]', "7"])
def test_a_damaged_file_is_an_empty_head(ahead, documents, content):
    documents.write(FILE, content.encode())
    assert ahead.tasks().tolist() == []
    ahead.send([4], "ann")
    assert ahead.tasks().tolist() == [4]
