"""Keys of embeddings: one for each image of each task."""

import pytest

from model.embeddings.embedding_store import embedding_key


def test_a_changed_reference_is_a_new_key():
    assert embedding_key(1, "s3://a/1.jpg") != embedding_key(1, "s3://a/2.jpg")


def test_two_tasks_with_the_same_image_have_two_keys():
    assert embedding_key(1, "a.jpg") != embedding_key(11, "a.jpg")


def test_task_and_reference_do_not_run_into_each_other():
    assert embedding_key(1, "1.jpg") != embedding_key(11, ".jpg")


def test_keys_fit_an_int64():
    assert all(0 <= embedding_key(task, "ünï.jpg") < 2**63 for task in range(500))


S3 = "https://bucket.s3.amazonaws.com/a.jpg?versionId=7&X-Amz-Date=2026010{0}T000000Z&X-Amz-Credential=A%2F{0}&X-Amz-Signature={0}{0}"
RENEWED = [
    S3,
    "https://b.s3.amazonaws.com/a.jpg?AWSAccessKeyId=AK{0}&Expires=17{0}&Signature=s{0}%3D",
    "https://storage.googleapis.com/b/a.jpg?X-Goog-Algorithm=GOOG4-RSA-SHA256&x-goog-date={0}&X-Goog-Signature={0}",
    "https://storage.googleapis.com/b/a.jpg?GoogleAccessId=a@b&Expires={0}&Signature={0}",
    "https://a.blob.core.windows.net/c/a.jpg?sv=2022-11-0{0}&st=2026-01-0{0}&se=2026-01-0{0}&sr=b&sp=r&sig={0}%2B",
    "https://d1.cloudfront.net/a.jpg?Expires={0}&Signature={0}__&Key-Pair-Id=K{0}",
    "https://firebasestorage.googleapis.com/v0/b/x/o/a.jpg?alt=media&token={0}-aaaa",
    "https://b.oss-cn.aliyuncs.com/a.jpg?OSSAccessKeyId=L{0}&Expires={0}&Signature={0}",
    "https://b.cos.myqcloud.com/a.jpg?q-sign-algorithm=sha1&q-ak=A{0}&q-sign-time={0}&q-signature={0}",
    "https://swift.example/v1/a.jpg?temp_url_sig={0}&temp_url_expires={0}",
    "https://b.obs.example/a.jpg?X-Obs-Date={0}&X-Obs-Credential={0}&X-Obs-Signature={0}",
    "https://b.tos.example/a.jpg?X-Tos-Expires={0}&X-Tos-SignedHeaders=host&X-Tos-Signature={0}",
    "https://b.bos.example/a.jpg?authorization=bce-auth-v1%2F{0}",
    "https://files.example/file/b/a.jpg?Authorization={0}",
    "https://cdn.example/a.jpg?e=17{0}&token=k:{0}",
    "https://cdn.example/a.jpg?auth_key=17{0}-0-0-{0}",
    "https://cdn.example/a.jpg?sign={0}&t=17{0}",
    "https://cdn.example/a.jpg?wsSecret={0}&wsTime={0}",
    "https://cdn.example/a.jpg?md5={0}&expires=17{0}",
    "https://cdn.example/a.jpg?hdnts=exp=17{0}~hmac={0}",
    "https://cdn.example/a.jpg?ex={0}&is={0}&hm={0}&",
    "https://cdn.example/a.jpg?verify=17{0}-{0}",
]


@pytest.mark.parametrize("link", RENEWED)
def test_a_renewed_link_is_the_same_image(link):
    assert embedding_key(1, link.format(1)) == embedding_key(1, link.format(2))


@pytest.mark.parametrize("link", RENEWED)
def test_another_file_under_a_signed_link_is_another_image(link):
    assert embedding_key(1, link.format(1)) != embedding_key(1, link.format(1).replace("a.jpg", "b.jpg"))


def test_what_a_signed_link_says_of_the_file_stays_in_the_key():
    assert embedding_key(1, S3.format(1)) != embedding_key(1, S3.format(1).replace("versionId=7", "versionId=8"))


@pytest.mark.parametrize("field", ["md5", "hash", "sign", "e", "expires", "st", "t", "id"])
def test_a_field_that_is_no_signature_by_itself_stays_in_the_key(field):
    link = f"https://cdn.example/a.jpg?{field}="
    assert embedding_key(1, f"{link}1") != embedding_key(1, f"{link}2")


@pytest.mark.parametrize(
    ("reference", "key"),
    [
        ("https://x.org/a.jpg", 7372060981374583481),
        ("https://x.org/a?id=3&expires=9&st=2&sp=1#part", 7609259548753431913),
        ("https://x.org/a?q=a+b&&c", 3901300015394391675),
        ("/data/upload/1/a.jpg?token=3", 7064253059102022834),
        ("s3://bucket/a?token=3.jpg", 2715124089688275974),
        ("data:image/svg+xml,<a href='?sig=1&token=2'/>", 3913563702981246698),
    ],
)
def test_every_other_reference_keeps_the_key_it_always_had(reference, key):
    assert embedding_key(1, reference) == key


def test_a_reference_that_is_no_unicode_text_has_a_key():
    assert embedding_key(1, "\ud800.jpg") != embedding_key(1, "\ud801.jpg")
