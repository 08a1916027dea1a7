"""Where an image reference is asked for: which ones are Label Studio's own files, under whatever address the data name it."""

import base64
import re

import httpx

from model.embeddings.images import ImageError

CLOUD = ("s3://", "gs://", "azure-blob://")
# Paths that Label Studio alone has. Its data may name it by LABEL_STUDIO_HOST, which need not be LABEL_STUDIO_URL.
OWN_PATH = re.compile(rb"/((data|storage-data)/|(tasks/\d+/(presign|resolve)|projects/\d+/(presign|resolve|file-proxy))[/?])")
# That host may also have Label Studio below a path, which need not be LABEL_STUDIO_URL's; there only what no other site has.
BELOW = re.compile(
    rb"[^?]*?(/(data/(upload|local-files)|storage-data/uploaded|tasks/\d+/(presign|resolve)"
    rb"|projects/\d+/(presign|resolve|file-proxy))[/?].*)"
)
LOGIN_PATH = re.compile(r"/user/login/?$")


class OwnFiles:
    """Tells the files of the Label Studio at `url`, LABEL_STUDIO_URL, from those of other hosts."""

    def __init__(self, url: str) -> None:
        self._base = httpx.URL(url)
        self._prefix = self._base.raw_path.rstrip(b"/")  # where Label Studio answers under a path of its host

    def has(self, url: httpx.URL) -> bool:
        """Whether `url` is at LABEL_STUDIO_URL's scheme, host and port: the only one that gets the token."""
        return _origin(url) == _origin(self._base)

    def places(self, task: int, reference: str, named_first: bool) -> list[httpx.URL]:
        """Where to ask for the image `reference` of `task`, the likeliest first.

        A file of Label Studio's under a host that is not LABEL_STUDIO_URL's may also be one of that host, whose path merely
        looks alike: both are asked, that host first with `named_first`. Raises httpx.InvalidURL, ValueError.
        """
        if reference.startswith(CLOUD):
            name = base64.urlsafe_b64encode(reference.encode()).decode()
            return [self._under(f"/tasks/{task}/presign/?fileuri={name}".encode())]
        url = httpx.URL(reference)
        own = self._own_path(url)
        if not url.scheme and not url.host:
            return [self._under(own or b"/" + url.raw_path.lstrip(b"/"))]
        url = url if url.scheme else url.copy_with(scheme=self._base.scheme)
        if own is None or url.scheme not in ("http", "https"):
            return [url]
        if self.has(url):
            return [self._under(own)]
        return [url, self._under(own)] if named_first else [self._under(own), url]

    def next(self, asked: httpx.URL, target: httpx.URL) -> httpx.URL:
        """Where to go on after `asked` redirected to `target`: there. Raises ImageError where only a setting can help.

        Another port of Label Studio's host may be that of a storage; it is Label Studio's where the path stays the same.
        """
        moved = target.path.rstrip("/").endswith(self._below(asked).rstrip("/")) or LOGIN_PATH.search(target.path)
        if self.has(asked) and not self.has(target) and target.host == self._base.host and moved:
            better = target.copy_with(path="/", query=None, fragment=None, userinfo=b"")
            raise ImageError(f"Label Studio redirects to {better}: set LABEL_STUDIO_URL to the address it has there")
        return target

    def _own_path(self, url: httpx.URL) -> bytes | None:
        """The path and query, escaped as they are, of a file of Label Studio's below wherever it answers; None for others."""
        path = b"/" + url.raw_path.lstrip(b"/")
        if self._prefix and path.startswith(self._prefix + b"/"):
            path = path.removeprefix(self._prefix)
            if not url.host:
                return path
        if OWN_PATH.match(path):
            return path
        below = BELOW.fullmatch(path)
        return below[1] if below else None

    def _below(self, url: httpx.URL) -> str:
        """The path of `url` below wherever Label Studio answers."""
        return url.path.removeprefix(self._base.path.rstrip("/"))

    def _under(self, path: bytes) -> httpx.URL:
        return self._base.copy_with(raw_path=self._prefix + path)


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme)
