"""What the client says when it is not Label Studio that answers, and with which patience it asks again."""

import json
import logging
import socket
import threading

import pytest
from pydantic import SecretStr

from backend.labelstudio.client import LabelStudio, LabelStudioError
from tests.backend.network.made_up import Answer

LEGACY, PERSONAL = "0123456789abcdef", "head.body.signature"
PAGE = Answer(200, b"<!DOCTYPE html><html><body>Log in</body></html>")
REFRESH = "/api/token/refresh/"


def as_json(status, body, **headers):
    return Answer(status, json.dumps(body).encode(), headers)


@pytest.fixture
def client(make_settings):
    """A function that makes a client of a server."""

    def make(server_or_url, token=LEGACY):
        url = server_or_url if isinstance(server_or_url, str) else server_or_url.url
        values = {"label_studio_url": url, "label_studio_api_key": SecretStr(token)}
        return LabelStudio(make_settings().model_copy(update=values))  # whatever the settings make of them

    return make


@pytest.fixture
def waits(monkeypatch):
    """The seconds that would have been waited between tries."""
    found = []
    monkeypatch.setattr("backend.labelstudio.client.time.sleep", found.append)
    return found


def failure(client, call=lambda client: client.project(1)):
    """What the call raises."""
    with pytest.raises(LabelStudioError) as raised:
        call(client)
    return raised.value


def in_turn(*answers):
    """A server's answers, the last one for ever."""
    left = list(answers)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


STRANGERS = {
    "a redirect to https": (Answer(301, b"", {"Location": "https://labels.example/api/projects/1"}), "https://labels.example$"),
    "a redirect of everything": (Answer(302, b"", {"Location": "https://login.example/"}), "redirect .*https://login.example/"),
    "a redirect to nowhere": (Answer(301), "redirect .*does not say where to"),
    "a redirect that is no address": (Answer(308, b"", {"Location": "http://[::1"}), "redirect"),
    "a wrong path": (Answer(404), "not Label Studio's. Check LABEL_STUDIO_URL"),
    "a page that is not there": (Answer(404, PAGE.body), "a web page .404.*Check LABEL_STUDIO_URL"),
    "a web site": (PAGE, "a web page. Check LABEL_STUDIO_URL"),
    "another JSON": (as_json(200, []), "does not send. Check LABEL_STUDIO_URL"),
    "plain text": (Answer(200, b"it works"), "does not send. Check LABEL_STUDIO_URL"),
    "deep JSON": (Answer(200, b"[" * 100_000), "does not send. Check LABEL_STUDIO_URL"),
    "a proxy's 502": (Answer(502, PAGE.body), "502: Label Studio is starting or down behind the proxy"),
    "a proxy's 503": (Answer(503), "503: Label Studio is starting or down behind the proxy"),
    "a proxy's login": (Answer(401, PAGE.body), "a proxy in front of .* asks for a login of its own"),
    "a proxy's Basic login": (Answer(401, b"", {"WWW-Authenticate": "Basic realm=x"}), "asks for a login of its own"),
    "a wall": (Answer(403, PAGE.body), "a web page .403."),
    "broken compression": (
        Answer(200, b"this is no gzip file", {"Content-Encoding": "gzip"}),
        "its answer has broken compression",
    ),
    "a year that no calendar has": (
        Answer(429, b"", {"Retry-After": "Wed, 21 Oct 99999999999999 07:28:00 GMT"}),
        "asks to come again later",
    ),
    "too many questions": (Answer(429, b"", {"Retry-After": "1"}), "asks to come again later"),
    "another method": (Answer(405), "Check LABEL_STUDIO_URL"),
    "an error": (as_json(500, {"detail": "database is locked"}), "answered 500: .*database is locked"),
}


@pytest.mark.parametrize(("answer", "says"), STRANGERS.values(), ids=STRANGERS)
@pytest.mark.usefixtures("waits")
def test_whoever_else_answers_is_called_by_name(serve, client, answer, says):
    with pytest.raises(LabelStudioError, match=says):
        client(serve(answer)).project(1)


@pytest.mark.parametrize("answer", [answer for answer, _ in STRANGERS.values()], ids=STRANGERS)
@pytest.mark.usefixtures("waits")
def test_a_strangers_answer_to_the_token_is_no_refusal_of_it(serve, client, answer):
    assert "refused" not in str(failure(client(serve(answer), PERSONAL)))


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_of_the_api_names_the_address_to_set(serve, client, status):
    server = serve(lambda request: Answer(status, b"", {"Location": f"https://labels.example/ls{request.path}"}))
    assert str(failure(client(server), lambda c: c.request("POST", "/api/ml", json={}))).endswith(
        "set LABEL_STUDIO_URL to https://labels.example/ls"
    )


@pytest.mark.parametrize(
    ("path", "root"), [("/projects/4/data", ""), ("/ls/projects/4/data", "/ls"), ("/user/account", ""), ("/elsewhere", "")]
)
@pytest.mark.parametrize("answer", [Answer(404, PAGE.body), as_json(404, {"detail": "Not found."}), Answer(405)])
def test_an_address_from_the_address_bar_is_taken_for_what_it_is(serve, client, path, root, answer):
    server = serve(answer)
    error = failure(client(server.url + path, PERSONAL))
    assert str(error).endswith(f"without a page of it: perhaps {server.url}{root}")


def test_a_refused_token_says_how_to_make_one(serve, client):
    error = failure(client(serve(as_json(401, {"detail": "Invalid token."}))))
    assert (error.status, error.passing) == (401, False)
    assert str(error).startswith("LABEL_STUDIO_API_KEY was refused (401 on GET /api/projects/1): make a personal access token")


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_revoked_personal_token_says_so(serve, client, status):
    error = failure(client(serve(as_json(status, {"detail": "Token is blacklisted", "code": "token_not_valid"})), PERSONAL))
    assert (error.status, str(error).partition(":")[0]) == (401, f"LABEL_STUDIO_API_KEY was refused ({status})")


@pytest.mark.parametrize(("status", "says"), [(404, "not found .404."), (403, "not allowed .403.")])
def test_a_project_of_another_organization_is_named_as_a_possible_cause(serve, client, status, says):
    with pytest.raises(LabelStudioError, match=f"{says}.*organization"):
        client(serve(as_json(status, {"detail": "No."}))).project(1)


@pytest.mark.usefixtures("waits")
def test_nobody_answering_is_told_in_words(client):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    assert str(failure(client(url))) == f"Label Studio at {url} does not answer (Connection refused). Check LABEL_STUDIO_URL."


GOOD = as_json(200, {"id": 1})


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_question_is_asked_again_while_label_studio_is_out_of_order(serve, client, waits, status):
    server = serve(in_turn(Answer(status), Answer(status), GOOD))
    assert client(server).project(1) == {"id": 1}
    assert waits == [1, 2]


def test_label_studio_is_left_alone_for_as_long_as_it_asks(serve, client, waits):
    server = serve(in_turn(Answer(429, b"", {"Retry-After": "7"}), Answer(503, b"", {"Retry-After": "100000"}), GOOD))
    assert client(server).project(1) == {"id": 1}
    assert waits == [7, 30]


def test_whoever_has_no_time_is_told_of_the_outage_at_once(serve, client, waits):
    server = serve(in_turn(as_json(503, {}), as_json(503, {}), GOOD))
    studio = client(server)
    studio.patient = lambda: len(server.asked) < 2  # it asks once more, then it is to stop
    assert (failure(studio).passing, len(server.asked), waits) == (True, 2, [1])


def test_in_the_end_the_outage_is_told(serve, client, waits):
    server = serve(Answer(500))
    error = failure(client(server))
    assert (error.passing, len(server.asked), waits) == (True, 4, [1, 2, 4])


@pytest.mark.parametrize(("status", "times"), [(429, 2), (503, 2), (500, 1), (502, 1), (504, 1)])
@pytest.mark.usefixtures("waits")
def test_what_makes_something_is_sent_again_only_where_nobody_took_it_up(serve, client, status, times):
    server = serve(in_turn(Answer(status), as_json(201, {"created": 1})))
    try:
        client(server).import_predictions(1, [])
    except LabelStudioError:
        assert times == 1
    assert len(server.asked) == times


@pytest.mark.usefixtures("waits")
def test_what_makes_something_is_sent_again_after_an_outage_of_the_token(serve, client):
    answers = in_turn(Answer(502), as_json(200, {"access": "short"}), as_json(201, {"created": 1}))
    server = serve(answers)
    assert client(server, PERSONAL).import_predictions(1, []) == 1
    assert server.paths() == [REFRESH, REFRESH, "/api/projects/1/import/predictions"]


def test_a_personal_token_is_sent_as_the_access_token_it_stands_for(serve, client):
    server = serve(lambda request: as_json(200, {"access": "short"}) if request.path == REFRESH else GOOD)
    studio = client(server, PERSONAL)
    studio.project(1)
    studio.project(1)
    assert [request.headers["Authorization"] for request in server.asked] == [None, "Bearer short", "Bearer short"]
    assert json.loads(server.asked[0].body) == {"refresh": PERSONAL}


def test_an_access_token_that_is_over_is_renewed_once_for_all_threads(serve, client):
    given, lock = [], threading.Lock()

    def answer(request):
        with lock:
            if request.path == REFRESH:
                given.append(f"access{len(given)}")
                return as_json(200, {"access": given[-1]})
            valid = request.headers["Authorization"] == f"Bearer {given[-1]}" and len(given) > 1
            return GOOD if valid else as_json(401, {"detail": "Token is expired"})

    studio = client(serve(answer), PERSONAL)
    threads = [threading.Thread(target=studio.project, args=(1,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert given == ["access0", "access1"]


def test_a_fresh_token_that_is_refused_too_is_not_renewed_for_ever(serve, client):
    refused = as_json(401, {"detail": "User is inactive"})
    server = serve(lambda request: as_json(200, {"access": "short"}) if request.path == REFRESH else refused)
    assert failure(client(server, PERSONAL)).status == 401
    assert len(server.asked) == 4


@pytest.mark.parametrize("access", [None, 1, "", {"a": 1}, "line\nbreak", "ü"])
def test_an_access_token_that_cannot_be_is_no_label_studio(serve, client, access):
    with pytest.raises(LabelStudioError, match="Label Studio does not send"):
        client(serve(as_json(200, {"access": access})), PERSONAL).project(1)


@pytest.mark.parametrize("token", [f"{LEGACY}\n", f" {LEGACY}\r\n", f"{LEGACY}\t"])
def test_spaces_and_newlines_around_the_token_are_cut(serve, client, token):
    server = serve(GOOD)
    client(server, token).project(1)
    assert server.asked[0].headers["Authorization"] == f"Token {LEGACY}"


def test_a_newline_after_the_address_is_cut(serve, client):
    assert client(serve(GOOD).url + "/\n").project(1) == {"id": 1}


@pytest.mark.parametrize("token", ["", "two words", "two\nlines", "tökén", "nul\0"])
def test_a_token_that_cannot_be_is_refused_without_being_shown(make_settings, token):
    settings = make_settings().model_copy(update={"label_studio_api_key": SecretStr(token)})
    with pytest.raises(LabelStudioError, match="LABEL_STUDIO_API_KEY") as refused:
        LabelStudio(settings)
    assert not token or token not in str(refused.value)


def everything_said(error, caplog):
    """The message, those of its causes, and the log."""
    texts, left = [caplog.text], [error]
    while left:
        each = left.pop()
        texts.append(repr(each))
        left += [cause for cause in (each.__cause__, each.__context__) if cause]
    return " ".join(texts)


@pytest.mark.parametrize("answer", [answer for answer, _ in STRANGERS.values()], ids=STRANGERS)
@pytest.mark.parametrize("token", [LEGACY, PERSONAL])
@pytest.mark.usefixtures("waits")
def test_no_message_and_no_log_line_holds_the_token(serve, client, caplog, answer, token):
    caplog.set_level(logging.DEBUG)
    assert token not in everything_said(failure(client(serve(answer), token)), caplog)


@pytest.mark.usefixtures("waits")
def test_a_password_in_the_address_is_neither_sent_nor_shown(serve, make_settings, caplog):
    caplog.set_level(logging.DEBUG)
    server = serve(Answer(500))
    settings = make_settings(label_studio_api_key=LEGACY)
    settings = settings.model_copy(update={"label_studio_url": server.url.replace("://", "://user:pa55word@")})
    assert "pa55" not in everything_said(failure(LabelStudio(settings)), caplog)
    assert server.asked[0].headers["Authorization"] == f"Token {LEGACY}"


class TestOutage:
    def test_there_is_none_while_the_api_answers(self, serve, client):
        assert client(serve(GOOD)).outage() is None

    @pytest.mark.parametrize("status", [403, 404])
    def test_there_is_none_where_only_this_question_is_refused(self, serve, client, status):
        assert client(serve(Answer(status))).outage() is None

    @pytest.mark.parametrize("status", [401, 429, 500, 502, 503, 504])
    def test_it_is_told_with_one_question(self, serve, client, status):
        server = serve(Answer(status))
        assert (client(server).outage().status, len(server.asked)) == (status, 1)

    def test_nobody_answering_is_one(self, client):
        assert "does not answer" in str(client("http://127.0.0.1:1").outage())


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
@pytest.mark.parametrize("value", ["localhost,fd07:b51a:cc66:f0::/64", "[::1]", "http://[", "]"])
def test_any_no_proxy_can_be_lived_with(serve, client, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    assert client(serve(GOOD)).project(1) == {"id": 1}


def test_a_proxy_that_cannot_be_is_named(client, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "ftp://proxy.example")
    with pytest.raises(LabelStudioError, match="HTTP_PROXY is no address of a proxy"):
        client("http://labels.example")


def test_label_studio_is_asked_through_the_proxy(serve, client, monkeypatch):
    proxy = serve(GOOD)
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    client("http://labels.example:8080").project(1)
    assert proxy.paths() == ["http://labels.example:8080/api/projects/1"]


def test_it_says_who_asks(serve, client):
    server = serve(GOOD)
    client(server).project(1)
    assert server.asked[0].headers["User-Agent"].startswith("label-studio-active-learning/")


def test_no_cookie_is_kept(serve, client):
    server = serve(Answer(200, b"{}", {"Set-Cookie": "sessionid=1; Path=/"}))
    studio = client(server)
    studio.project(1)
    studio.project(1)
    assert server.asked[1].headers["Cookie"] is None
