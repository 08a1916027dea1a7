"""An index that takes in whatever Label Studio lists, says what cannot be used, and can be thrown away."""

import pytest

from backend.bench.label_studio import label_config
from backend.index.index import Index
from backend.labelstudio.labelling_config import parse_label_config
from tests.backend.project.made_up import TARGET, annotation, task


def due(index):
    """Tasks whose image may be fetched."""
    return {row.task for row in index.rows()} - index.tasks.barred()


@pytest.fixture
def index(tmp_path):
    """An empty index."""
    index = Index(tmp_path / "index.sqlite")
    yield index
    index.close()


def test_a_changed_annotation_changes_the_label(index):
    index.update([task(1, annotation("A"))], TARGET)
    index.update([task(1, annotation("B"))], TARGET)
    assert [row.label for row in index.rows()] == ["B"]


def test_tasks_that_are_gone_are_forgotten(index):
    index.update([task(1), task(2), task(3)], TARGET)
    index.keep_only([2])
    assert [row.task for row in index.rows()] == [2]


def test_a_new_image_of_a_task_gets_a_new_key_and_another_try(index):
    index.update([task(1)], TARGET)
    before = index.rows()[0].key
    index.set_errors({before: "broken"})
    assert due(index) == set()
    index.update([task(1, image="/b.jpg")], TARGET)
    assert index.rows()[0].key != before
    assert due(index) == {1}


def test_an_unreadable_image_is_counted_and_not_tried_again_at_once(index):
    index.update([task(1), task(2)], TARGET)
    index.set_errors({index.rows()[0].key: "not an image"})
    assert index.counts()["unreadable"] == 1
    assert due(index) == {2}


def test_what_went_wrong_stays_known_when_the_task_is_read_again(index):
    index.update([task(1)], TARGET)
    index.set_errors({index.rows()[0].key: "not an image"})
    index.update([task(1, annotation("A"))], TARGET)
    assert index.rows()[0].error == "not an image"
    assert due(index) == set()


def test_an_image_says_itself_when_it_is_tried_again(index):
    index.update([task(1), task(2)], TARGET)
    first, second = (row.key for row in index.rows())
    index.set_errors({first: "cut off", second: "not an image"}, {first: -1})
    assert due(index) == {1}


def test_what_was_asked_for_under_another_address_says_nothing_about_a_tasks_own_image(index):
    index.update([task(1)], TARGET)
    index.set_errors({index.rows()[0].key + 1: "not found"})
    assert index.counts()["unreadable"] == 0


@pytest.mark.parametrize(
    "data", [None, [], "text", {}, {"image": None}, {"image": ["/a.jpg"]}, {"image": {"url": "/a"}}, {"image": 3}]
)
def test_data_without_an_image_cost_their_task_alone(index, data):
    index.update([task(1) | {"data": data}, task(2, annotation("A"))], TARGET)
    assert index.counts() == {"unlabelled": 1, "labelled": 1, "skipped": 0, "unusable": 0, "accepted": 0, "unreadable": 1}
    assert due(index) == {2}


def test_the_problem_of_data_without_an_image_names_what_is_there(index):
    index.update([task(1, image=["/a.jpg"])], TARGET)
    assert str(index.problems()[0]).endswith("the task's data hold a list under 'image', not an image's address (task 1)")


@pytest.mark.parametrize("number", [None, "x", 2**63, -1, 1.5, True, [], {}])
def test_a_task_without_a_usable_id_is_counted_and_costs_nobody_else(index, number):
    index.update([task(1) | {"id": number}, task(2)], TARGET)
    assert [row.task for row in index.rows()] == [2]
    assert [problem.kind for problem in index.problems()] == ["task"]


def test_labels_of_no_class_are_named_with_their_number_and_the_way_back(index):
    index.update([task(n, annotation("Catfish")) for n in range(1, 6)], TARGET)
    (problem,) = index.problems()
    assert (problem.kind, problem.count, problem.tasks) == ("class", 5, (1, 2, 3))
    assert str(problem).startswith("5 answers that cannot be used: 'Catfish' is not in the labelling config")
    assert "alias='Catfish'" in problem.reason


def test_each_reason_is_one_problem(index):
    index.update([task(1, annotation()), task(2, annotation("X")), task(3, annotation("A"), annotation("B"))], TARGET)
    assert {problem.kind: problem.count for problem in index.problems()} == {"empty": 1, "class": 1, "tie": 1}


def test_many_different_reasons_of_a_kind_are_counted_together(index):
    index.update([task(n, annotation(f"class {n}")) for n in range(1, 100)], TARGET)
    assert len(index.problems()) == 11
    assert sum(problem.count for problem in index.problems()) == 99


def test_reasons_that_differ_by_the_address_alone_are_one(index):
    index.update([task(1, image="https://h/1.jpg"), task(2, image="https://h/2.jpg")], TARGET)
    index.set_errors({row.key: f"{row.reference} was not found (404)" for row in index.rows()})
    assert [problem.count for problem in index.problems()] == [2]


def test_images_read_in_part_are_a_problem_until_they_are_whole(index):
    index.update([task(1)], TARGET)
    key = index.rows()[0].key
    index.set_image_notes({key: "its end is missing: 60 of 80 rows"})
    assert [(problem.kind, problem.tasks) for problem in index.problems()] == [("partial", (1,))]
    index.set_image_notes({key: None})
    assert index.problems() == []


def test_a_task_that_label_studio_cannot_list_stays_known_with_the_reason(index):
    index.set_unlistable({7: "Label Studio answers 500 for it"})
    (problem,) = index.problems()
    assert (problem.kind, problem.tasks) == ("task", (7,))
    assert due(index) == set()


def test_tasks_with_one_kind_of_trouble_are_listed(index):
    index.update([task(1, annotation()), task(2, annotation("A")), task(3, annotation())], TARGET)
    assert index.troubled("empty") == [1, 3]


@pytest.mark.parametrize(
    ("reference", "secret"),
    [
        ("https://user:hunter2@host/a.jpg", "hunter2"),
        ("https://b.s3.amazonaws.com/a.jpg?X-Amz-Credential=AKIA1&X-Amz-Signature=abc123", "abc123"),
        ("https://a.blob.core.windows.net/c/a.jpg?sv=2022&sig=abc123%3D", "abc123"),
        ("https://host/a.jpg?access_token=abc123&size=2", "abc123"),
        ("https://user:hunter2@[broken/a.jpg", "hunter2"),
        ("https://user:hunter2/x@host/a.jpg", "hunter2"),
        ("https://user:hunter2?x@host/a.jpg", "hunter2"),
        (f"https://user:hunter2@host/{'a' * 3000}.jpg", "hunter2"),
        (f"https://user:hunter2@host/a.jpg?{'a' * 3000}", "hunter2"),
        ("/projects/1/file-proxy/?url=https%3A%2F%2Fuser%3Ahunter2%40host%2Fa.jpg", "hunter2"),
        ("/projects/1/file-proxy/?url=https%3A%2F%2Fhost%2Fa.jpg%3FX-Amz-Signature%3Dabc123", "abc123"),
        ("https://host/a.jpg?hdnts=exp=1~hmac=abc123", "abc123"),
        ("https://host/a.jpg?x=1;%73ig=abc123", "abc123"),
        ("https://host/a.jpg#access_token=abc123", "abc123"),
        ("https://host/a.jpg;jsessionid=abc123", "abc123"),
        ("?a=" * 700 + "token=abc123", "abc123"),
    ],
)
def test_no_secret_of_an_address_is_kept(index, tmp_path, reference, secret):
    index.update([task(1, image=reference)], TARGET)
    assert index.rows()[0].redacted
    index.close()
    assert not any(secret.encode() in path.read_bytes() for path in tmp_path.iterdir())


@pytest.mark.parametrize("reference", ["/data/upload/1/a.jpg", "https://host/a.jpg?size=2", "s3://bucket/a b@c.jpg", "/a.jpg?"])
def test_an_address_without_secrets_is_kept_as_it_is(index, reference):
    index.update([task(1, image=reference)], TARGET)
    assert (index.rows()[0].reference, index.rows()[0].redacted) == (reference, False)


def test_an_image_that_is_its_own_address_does_not_fill_the_index(index):
    index.update([task(1, image="data:image/png;base64," + "A" * 1_000_000)], TARGET)
    assert len(index.rows()[0].reference) < 200
    assert index.rows()[0].redacted


@pytest.mark.parametrize(
    ("value", "data"),
    [
        ("$meta.image", {"meta": {"image": "/a.jpg"}}),
        ("$pages[0].url", {"pages": [{"url": "/a.jpg"}]}),
        ("$a.b[1][0].c", {"a": {"b": [0, [{"c": "/a.jpg"}]]}}),
        ("$meta.image", {"meta.image": "/a.jpg", "meta": {"image": "/other.jpg"}}),
    ],
)
def test_an_image_deep_in_the_data_is_found(index, value, data):
    target = parse_label_config(label_config(["A", "B"]).replace("$image", value))
    index.update([task(1) | {"data": data}], target)
    assert index.rows()[0].reference == "/a.jpg"
