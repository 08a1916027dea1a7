"""Where images come from: Label Studio's own files, with its token, and data URIs."""

import base64

import pytest

from backend.labelstudio.client import LabelStudioError
from backend.labelstudio.images import SOON
from tests.backend.labelstudio.made_up import IMAGE, failure, token_only
from tests.backend.network.made_up import Answer


class TestLabelStudiosOwnFiles:
    def test_come_with_its_token(self, serve, source):
        assert source(serve(token_only).url).fetch(1, "/data/upload/1/a.jpg") == IMAGE

    @pytest.mark.parametrize(
        "path", ["/data/local-files/?d=a.jpg", "/tasks/1/resolve/?fileuri=x", "/projects/1/file-proxy/?u=x"]
    )
    @pytest.mark.parametrize("other", ["http://localhost:1", "https://10.0.0.1", "http://label-studio:8080"])
    def test_come_with_its_token_whatever_host_the_data_name(self, serve, source, path, other):
        server = serve(token_only)
        assert source(server.url).fetch(1, other + path) == IMAGE
        assert server.paths() == [path]

    @pytest.mark.parametrize("start", ["", "/ls", "http://other.invalid/ls"])
    def test_come_from_below_its_host_where_it_answers_there(self, serve, source, start):
        server = serve(token_only)
        assert source(f"{server.url}/ls").fetch(1, f"{start}/data/upload/a.jpg") == IMAGE
        assert server.paths() == ["/ls/data/upload/a.jpg"]

    def test_are_resolved_by_it_where_they_lie_in_a_cloud(self, serve, source):
        server = serve(token_only)
        source(server.url).fetch(5, "s3://bucket/päth.jpg")
        path, _, name = server.asked[0].path.partition("?fileuri=")
        assert (path, base64.urlsafe_b64decode(name).decode()) == ("/tasks/5/presign/", "s3://bucket/päth.jpg")

    def test_of_another_host_whose_path_looks_alike_come_from_there_without_the_token(self, serve, source):
        other, studio = serve(Answer(200, IMAGE)), serve(Answer(404))
        fetched = source(studio.url, allowed_hosts="127.0.0.1").fetch(1, f"{other.url}/data/a.jpg")
        assert (fetched, other.asked[0].headers["Authorization"], studio.asked) == (IMAGE, None, [])

    def test_are_asked_for_at_label_studio_where_the_named_host_is_allowed_and_refuses(self, serve, source):
        other, studio = serve(Answer(403)), serve(token_only)
        assert source(studio.url, allowed_hosts="127.0.0.1").fetch(1, f"{other.url}/data/a.jpg") == IMAGE

    def test_that_neither_has_are_refused_with_both_reasons(self, serve, source):
        other, studio = serve(Answer(403)), serve(Answer(404))
        error = failure(source(studio.url, allowed_hosts="127.0.0.1").fetch, 1, f"{other.url}/data/a.jpg")
        assert "answered 403: it wants a login" in str(error)
        assert "Label Studio answered 404: the file is gone" in str(error)

    @pytest.mark.parametrize(
        "answer", [Answer(401), Answer(500), Answer(502), Answer(504), Answer(302, b"", {"Location": "/user/login/?next=/"})]
    )
    def test_that_fail_alone_cost_themselves_alone_and_are_tried_again_soon(self, serve, source, answer):
        server = serve(lambda request: answer if "bad" in request.path else Answer(200, IMAGE))
        images = source(server.url)
        assert failure(images.fetch, 1, "/bad.jpg").again_in == SOON
        assert images.fetch(2, "/good.jpg") == IMAGE

    def test_that_break_off_cost_themselves_alone(self, serve, source):
        cut = Answer(200, b"x" * 100, {"Content-Length": "10000"})
        server = serve(lambda request: cut if "bad" in request.path else Answer(200, IMAGE))
        error = failure(source(server.url).fetch, 1, "/bad.jpg")
        assert (error.again_in, "closed before the answer was complete" in str(error)) == (SOON, True)

    @pytest.mark.parametrize("status", [401, 429, 500, 502, 503, 504])
    def test_that_fail_with_everything_else_are_an_outage(self, serve, source, status):
        with pytest.raises(LabelStudioError):
            source(serve(Answer(status)).url, image_seconds=0.5).fetch(1, "/data/upload/a.jpg")

    def test_are_an_outage_where_nobody_answers(self, source):
        with pytest.raises(LabelStudioError, match="does not answer"):
            source().fetch(1, "/data/upload/a.jpg")

    def test_that_are_gone_are_their_own_fault(self, serve, source):
        assert failure(source(serve(Answer(404)).url).fetch, 1, "/data/upload/a.jpg").again_in is None

    def test_that_were_deleted_are_their_own_fault_though_label_studio_fails_on_them(self, serve, source):
        body = b"""{"status_code": 500, "detail": "'NoneType' object has no attribute 'has_permission'"}"""
        error = failure(source(serve(Answer(500, body)).url).fetch, 1, "/data/upload/1/a.jpg")
        assert (str(error).partition(":")[2], error.again_in) == (
            " the file is gone, or its storage is not connected to the project",
            None,
        )

    def test_that_it_keeps_behind_another_scheme_name_the_setting(self, serve, source):
        server = serve(Answer(301, b"", {"Location": "https://127.0.0.1/data/upload/a.jpg"}))
        assert "set LABEL_STUDIO_URL" in str(failure(source(server.url).fetch, 1, "/data/upload/a.jpg"))

    @pytest.mark.parametrize("reference", ["s3://bucket/a.jpg", "/tasks/1/resolve/?fileuri=x"])
    def test_are_fetched_from_a_storage_on_another_port_of_its_host(self, serve, source, reference):
        storage = serve(Answer(200, IMAGE))
        studio = serve(Answer(303, b"", {"Location": f"{storage.url}/bucket/a.jpg?X-Amz-Signature=1"}))
        assert source(studio.url, allowed_hosts="127.0.0.1").fetch(1, reference) == IMAGE
        assert storage.asked[0].headers["Authorization"] is None


class TestTheToken:
    def test_is_sent_to_nobody_else(self, serve, source):
        other = serve(Answer(200, IMAGE))
        source(allowed_hosts="127.0.0.1").fetch(1, f"{other.url}/photos/a.jpg")
        assert other.asked[0].headers["Authorization"] is None

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_does_not_follow_a_redirect(self, serve, source, status):
        other = serve(Answer(200, IMAGE))
        studio = serve(Answer(status, b"", {"Location": f"{other.url}/data/upload/a.jpg"}))
        images = source(studio.url.replace("127.0.0.1", "localhost"), allowed_hosts="127.0.0.1")
        assert images.fetch(1, "/tasks/1/presign/?fileuri=x") == IMAGE
        assert [studio.asked[0].headers["Authorization"], other.asked[0].headers["Authorization"]] == ["Token legacy", None]

    def test_is_not_sent_to_where_a_foreign_redirect_says_unless_that_is_label_studio(self, serve, source):
        studio = serve(token_only)
        other = serve(Answer(302, b"", {"Location": f"{studio.url}/data/upload/a.jpg"}))
        images = source(studio.url, allowed_hosts="localhost")
        assert images.fetch(1, other.url.replace("127.0.0.1", "localhost") + "/a.jpg") == IMAGE


@pytest.mark.parametrize(
    "uri",
    [
        "data:image/png;base64,aGVsbG8=",
        "data:image/png;base64,aGVsbG8",
        "data:image/png;base64,aGVs\\nbG8=",
        "data:image/png;base64,aGVsbG8%3D",
        "DATA:image/png;charset=utf-8;BASE64,aGVsbG8=",
        "data:,hello",
        "data:text/plain,h%65llo",
        " data:,hello",
    ],
)
def test_data_uris_are_decoded(source, uri):
    assert source().fetch(1, uri.replace("\\n", "\n")) == b"hello"
