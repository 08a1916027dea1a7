"""An image source for a Label Studio on loopback, and what fetching from it comes to."""

import pytest

from backend.labelstudio.client import LabelStudio
from backend.labelstudio.images import ImageSource
from model.embeddings.images import ImageError
from tests.backend.network.made_up import Answer

IMAGE = b"the bytes of an image"
ELSEWHERE = "http://localhost:1"  # nobody answers there
MANY = 50_000_000


@pytest.fixture
def source(make_settings):
    """A function that makes an image source for the Label Studio at `url`, with a legacy token."""
    made = []

    def make(url=ELSEWHERE, **values):
        settings = make_settings(label_studio_url=url, label_studio_api_key="legacy", **values)
        made.append(ImageSource(settings, LabelStudio(settings)))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def from_host(source):
    """A function that fetches a path of a server that is no Label Studio and is allowed by name."""

    def fetch(server, path="/a.jpg", **values):
        return source(allowed_hosts="127.0.0.1", **values).fetch(1, server.url + path)

    return fetch


def failure(fetch, *arguments, **options):
    """What fetching raises."""
    with pytest.raises(ImageError) as raised:
        fetch(*arguments, **options)
    return raised.value


def outcome(fetch, *arguments):
    """The bytes, or after how many seconds to try again."""
    try:
        return fetch(*arguments)
    except ImageError as error:
        return error.again_in


def token_only(request):
    """A Label Studio: its files need its token."""
    return Answer(200, IMAGE) if request.headers["Authorization"] == "Token legacy" else Answer(401)
