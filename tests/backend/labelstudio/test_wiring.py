"""ML backend, webhook and tab of a project: made once, told from strangers', and refusals in words that help."""

import threading
from http.server import ThreadingHTTPServer

import pytest

from backend.bench.label_studio import label_config
from backend.labelstudio.client import LabelStudioError
from backend.labelstudio.wiring import SSRF_ADVICE, TAB, TITLE, Wiring, explain_backend, webhook_host_trouble
from tests.label_studio_contract import Backend


@pytest.fixture(scope="module")
def addresses():
    """Two addresses of one ML backend that is content with everything."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Backend)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", f"http://localhost:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def project(label_studio):
    return label_studio.add_project(label_config(["a", "b"]), ["https://images.example/1.jpg"])


def wired(label_studio, project, url, made=None, credentials=("user", "pass")):
    """A wiring with everything made."""
    wiring = Wiring(label_studio.client(), project, url, credentials, made if made is not None else {})
    wiring.put_backend()
    wiring.put_webhook()
    wiring.put_view("image")
    wiring.delete_doubles()
    return wiring


def test_everything_is_made_once_however_often(label_studio, project, addresses):
    made = {}
    for _ in range(2):
        wired(label_studio, project, addresses[0], made)
    assert [len(rows) for rows in (label_studio.backends, label_studio.webhooks, label_studio.views)] == [1, 1, 2]


def test_the_webhook_has_the_credentials(label_studio, project, addresses):
    wired(label_studio, project, addresses[0])
    (hook,) = label_studio.webhooks.values()
    assert hook["headers"] == {"Authorization": "Basic dXNlcjpwYXNz"}


def test_another_address_replaces_the_old_one(label_studio, project, addresses):
    made = {}
    for url in addresses:
        wired(label_studio, project, url, made)
    assert [row["url"] for row in label_studio.backends.values()] == [addresses[1]]
    assert [row["url"] for row in label_studio.webhooks.values()] == [f"{addresses[1]}/webhook"]


def test_strangers_are_left_alone(label_studio, project, addresses):
    client = label_studio.client()
    client.request("POST", "/api/ml", json={"project": project, "url": addresses[1], "title": "Somebody else's"})
    client.request("POST", "/api/webhooks/", json={"project": project, "url": "https://somebody.example/webhook"})
    client.request("POST", "/api/dm/views/", json={"project": project, "data": {"title": TAB}})
    before = (set(label_studio.backends), set(label_studio.webhooks), set(label_studio.views))
    wired(label_studio, project, addresses[0]).delete_new(set())
    assert (set(label_studio.backends), set(label_studio.webhooks), set(label_studio.views)) == before


def test_a_backend_of_our_title_elsewhere_is_a_twin(label_studio, project, addresses):
    wired(label_studio, project, addresses[1], {})
    wiring = Wiring(label_studio.client(), project, addresses[0])
    assert [row["url"] for row in wiring.twins()] == [addresses[1]]


def test_what_was_there_before_survives_taking_back(label_studio, project, addresses):
    wiring = wired(label_studio, project, addresses[0])
    wiring.delete_new(wiring.there())
    assert len(wiring.there()) == 4


def test_a_tab_that_people_changed_stays_as_they_left_it(label_studio, project, addresses):
    made = {}
    wired(label_studio, project, addresses[0], made)
    label_studio.views[made["view"]]["data"]["ordering"] = ["tasks:id"]
    wired(label_studio, project, addresses[0], made)
    assert label_studio.views[made["view"]]["data"]["ordering"] == ["tasks:id"]
    assert len(label_studio.views) == 2


def test_nobody_at_the_address_is_no_matter_of_the_guard(label_studio, project):
    with pytest.raises(LabelStudioError) as refused:
        Wiring(label_studio.client(), project, "http://127.0.0.1:1").put_backend()
    assert "BACKEND_URL=http://127.0.0.1:1: nobody listens there (connection refused)" in str(refused.value)
    assert "USE_DEFAULT_BANNED_SUBNETS" not in str(refused.value)


def test_the_guard_is_called_by_its_name(label_studio, project, addresses):
    label_studio.blocks_private = True
    with pytest.raises(LabelStudioError) as refused:
        Wiring(label_studio.client(), project, addresses[0]).put_backend()
    assert SSRF_ADVICE in str(refused.value)


@pytest.mark.parametrize("text", ["You do not have permission to perform this action.", "Forbidden"])
def test_a_403_that_is_not_the_guards_is_left_as_it_is(text):
    assert explain_backend(LabelStudioError(text, 403), "http://a.b") == text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "<_SsrfGuardedHTTPConnectionPool> Max retries exceeded (Failed to establish: [Errno 111] Connection refused)",
            "refused",
        ),
        ("<_SsrfGuardedHTTPConnectionPool> Failed to resolve 'server'", "host name is not known"),
        ("<_SsrfGuardedHTTPConnectionPool> Connection to server timed out", "in time"),
        ("URL resolves to a reserved network address (block: 127.0.0.0/8)", "USE_DEFAULT_BANNED_SUBNETS=false"),
        ("Able to connect to ML Server, but authentication parameters were either not provided", "BASIC_AUTH_USER"),
        ("Successfully connected but it doesn't look like a valid ML backend. Reason: 404", "404"),
    ],
)
def test_each_refusal_has_its_own_reason(text, reason):
    assert reason in explain_backend(
        LabelStudioError(f"POST /api/ml: Label Studio answered 400: {text}", 400), "http://a.b:9090"
    )


@pytest.mark.parametrize(
    "url", ["http://localhost:9090", "http://server.internal:9090", "http://127.0.0.1:1", "http://[::1]:1"]
)
def test_hosts_that_a_webhook_may_have(url):
    assert webhook_host_trouble(url) == ""


def test_a_host_without_a_dot_is_told_with_one_that_would_do():
    assert webhook_host_trouble("http://server:9090").endswith("set BACKEND_URL=http://server.internal:9090.")


def test_the_tab_shows_open_tasks_of_the_queue_in_its_order(label_studio, project, addresses):
    wired(label_studio, project, addresses[0])
    default, view = label_studio.views.values()
    assert default["data"] == {"title": "Default", "type": "list", "target": "tasks"}
    assert (view["data"]["title"], view["data"]["ordering"]) == (TAB, ["tasks:predictions_score"])
    assert [item["filter"] for item in view["data"]["filters"]["items"]] == [
        "filter:tasks:total_annotations",
        "filter:tasks:predictions_score",
    ]


def test_our_title_is_what_people_see(label_studio, project, addresses):
    wired(label_studio, project, addresses[0])
    assert [row["title"] for row in label_studio.backends.values()] == [TITLE]
