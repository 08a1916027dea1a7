"""Keys of embeddings: one for each image of each task."""

from model.embedding_store import embedding_key


def test_a_changed_reference_is_a_new_key():
    assert embedding_key(1, "s3://a/1.jpg") != embedding_key(1, "s3://a/2.jpg")


def test_two_tasks_with_the_same_image_have_two_keys():
    assert embedding_key(1, "a.jpg") != embedding_key(11, "a.jpg")


def test_task_and_reference_do_not_run_into_each_other():
    assert embedding_key(1, "1.jpg") != embedding_key(11, ".jpg")


def test_keys_fit_an_int64():
    assert all(0 <= embedding_key(task, "ünï.jpg") < 2**63 for task in range(500))
