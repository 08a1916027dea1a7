"""Where an image reference is asked for."""

import pytest

from backend.labelstudio.own_files import OwnFiles

ROOT = "http://labels.example:8080"
BELOW = "https://example.org/ls"


def asked(url, reference, named_first=False):
    """The addresses, in order."""
    return [str(place) for place in OwnFiles(url).places(7, reference, named_first)]


@pytest.mark.parametrize(
    "path",
    [
        "/data/upload/1/a.jpg",
        "/data/local-files/?d=a/b.jpg",
        "/storage-data/uploaded/?filepath=upload/1/a.jpg",
        "/tasks/3/presign/?fileuri=czM6",
        "/tasks/3/resolve/?fileuri=czM6",
        "/tasks/3/resolve?fileuri=czM6",
        "/projects/3/presign/?fileuri=czM6",
        "/projects/3/resolve/?fileuri=czM6",
        "/projects/3/file-proxy/?fileuri=czM6",
    ],
)
class TestLabelStudiosOwnPaths:
    def test_without_a_host_are_asked_for_at_label_studio(self, path):
        assert asked(ROOT, path) == [ROOT + path]

    def test_under_another_host_are_asked_for_at_label_studio_first(self, path):
        assert asked(ROOT, f"https://other.example{path}") == [ROOT + path, f"https://other.example{path}"]

    def test_under_a_host_that_is_allowed_are_asked_for_there_first(self, path):
        assert asked(ROOT, f"https://other.example{path}", True) == [f"https://other.example{path}", ROOT + path]

    @pytest.mark.parametrize(
        "start", ["", "/ls", "https://example.org", "https://example.org/ls", "https://example.org:443/ls"]
    )
    def test_are_found_where_label_studio_answers_below_its_host(self, path, start):
        assert asked(BELOW, start + path) == [BELOW + path]


@pytest.mark.parametrize(
    "path", ["/data/upload/1/a%2Fb%3Fc%25d.jpg", "/data/upload/1/%C3%BC%20b.jpg", "/data/local-files/?d=a%26b%20c.jpg"]
)
@pytest.mark.parametrize("start", ["", "/ls", "https://other.example"])
def test_a_path_stays_escaped_as_it_was(path, start):
    assert asked(BELOW, start + path)[0] == BELOW + path


@pytest.mark.parametrize("start", ["/other", "https://other.example/other", "https://other.example/a/b"])
@pytest.mark.parametrize(
    "path", ["/data/upload/1/a.jpg", "/data/local-files/?d=a/tasks/1/resolve/b.jpg", "/tasks/3/resolve/?fileuri=x"]
)
@pytest.mark.parametrize("url", [ROOT, BELOW])
def test_its_files_are_found_where_the_data_name_it_below_another_path(url, path, start):
    assert asked(url, start + path)[0] == url + path


@pytest.mark.parametrize("reference", ["photos/a.jpg", "/photos/a.jpg", "/ls/photos/a.jpg"])
def test_other_relative_references_belong_to_label_studio_too(reference):
    assert asked(BELOW, reference) == [f"{BELOW}/photos/a.jpg"]


@pytest.mark.parametrize("path", ["/photos/data/a.jpg", "/dataset/a.jpg", "/tasks/3/a.jpg", "/database/data/"])
def test_a_path_that_is_not_label_studios_is_asked_for_where_it_is_named(path):
    assert asked(ROOT, f"https://other.example{path}") == [f"https://other.example{path}"]


def test_a_reference_without_scheme_has_label_studios():
    assert asked(ROOT, "//other.example/a.jpg") == ["http://other.example/a.jpg"]


@pytest.mark.parametrize("scheme", ["s3", "gs", "azure-blob"])
def test_cloud_files_are_resolved_by_label_studio(scheme):
    (place,) = asked(BELOW, f"{scheme}://bucket/a b/ü?.jpg")
    assert place.startswith(f"{BELOW}/tasks/7/presign/?fileuri=")


@pytest.mark.parametrize("url", [f"{ROOT}/x", "http://LABELS.example:8080/x"])
def test_its_own_address_gets_the_token(url):
    (place,) = OwnFiles(ROOT).places(1, url, False)
    assert OwnFiles(ROOT).has(place)


@pytest.mark.parametrize(
    "url",
    [
        "https://labels.example:8080/x",
        "http://labels.example/x",
        "http://labels.example:8081/x",
        "http://labels.example.evil.example:8080/x",
        "http://labels.example:8080@evil.example/x",
        "http://evil.example/?labels.example:8080",
        "//evil.example/x",
    ],
)
def test_another_scheme_host_or_port_gets_no_token(url):
    (place,) = OwnFiles(ROOT).places(1, url, False)
    assert not OwnFiles(ROOT).has(place)
