"""Image bytes for tasks: from Label Studio, its storages, data URIs and allowed hosts, within limits, and from nowhere else."""

import base64
import binascii
import ipaddress
import socket
import time
from urllib.parse import unquote_to_bytes, urljoin, urlsplit

import httpx

from backend.labelstudio.client import LabelStudio, LabelStudioError
from backend.settings import Settings
from model.images import ImageError

CLOUD = ("s3://", "gs://", "azure-blob://")
REDIRECTS = 5
OUTAGE = (401, 502, 503, 504)  # answers that speak of Label Studio as a whole


class ImageSource:
    """Fetches what a task's image reference stands for. Safe to share between threads."""

    def __init__(self, settings: Settings, label_studio: LabelStudio) -> None:
        self._settings = settings
        self._auth = label_studio.auth
        self._url = label_studio.url
        self._origin = _origin(self._url)
        self._http = httpx.Client(timeout=settings.image_seconds, limits=httpx.Limits(max_keepalive_connections=16))

    def fetch(self, task: int, reference: str) -> bytes:
        """The bytes of the image `reference` of `task`.

        Raises ImageError with the reason and the next step; LabelStudioError where Label Studio is out of order.
        """
        if not reference:
            raise ImageError("the task has no image under the labelling config's data key")
        if reference.startswith("data:"):
            return self._data_uri(reference)
        if reference.startswith(CLOUD):
            encoded = base64.urlsafe_b64encode(reference.encode()).decode()
            reference = f"{self._url}/tasks/{task}/presign/?fileuri={encoded}"
        try:
            return self._follow(urljoin(self._origin, reference))
        except (ImageError, LabelStudioError):
            raise
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            raise ImageError(f"{_short(reference)} cannot be fetched ({error!r})") from error

    def close(self) -> None:
        """Let go of its connections."""
        self._http.close()

    def _follow(self, url: str) -> bytes:
        deadline = time.monotonic() + self._settings.image_seconds
        for _ in range(REDIRECTS):
            content, location = self._get(url, deadline)
            if location is None:
                return content
            url = urljoin(url, location)
        raise ImageError(f"{_short(url)}: more than {REDIRECTS} redirects")

    def _get(self, url: str, deadline: float) -> tuple[bytes, str | None]:
        """One request: the content, or where it redirects to. Trouble with Label Studio itself is no fault of the image."""
        if _origin(url) != self._origin:
            self._check_host(url)
            return self._read(url, None, deadline)
        try:
            return self._read(url, self._auth, deadline)
        except httpx.TransportError as error:
            raise LabelStudioError(
                f"Label Studio at {self._origin} does not answer ({error!r}). Check LABEL_STUDIO_URL."
            ) from error

    def _read(self, url: str, auth: httpx.Auth | None, deadline: float) -> tuple[bytes, str | None]:
        with self._http.stream("GET", url, auth=auth) as response:
            if auth is None and (urlsplit(url).hostname or "").lower() not in self._settings.hosts:
                self._check_address(response.extensions["network_stream"].get_extra_info("server_addr")[0], url)
            if response.is_redirect:
                return b"", response.headers["location"]
            if auth and response.status_code in OUTAGE:
                raise LabelStudioError(f"Label Studio answered {response.status_code} for {_short(url)}", response.status_code)
            if response.status_code != 200:
                raise ImageError(f"{_short(url)} answered {response.status_code}")
            chunks, size = [], 0
            for chunk in response.iter_bytes():
                chunks.append(chunk)
                size += len(chunk)
                self._check_size(size)
                if time.monotonic() > deadline:
                    raise ImageError(f"{_short(url)} took longer than IMAGE_SECONDS ({self._settings.image_seconds:g})")
        return b"".join(chunks), None

    def _check_host(self, url: str) -> None:
        """Only http(s), only allowed hosts; without ALLOWED_HOSTS any public one."""
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
        if parts.scheme not in ("http", "https") or not host:
            raise ImageError(f"{_short(url)}: only http, https, data, s3, gs and azure-blob references can be fetched")
        if host in self._settings.hosts:
            return
        if self._settings.hosts:
            raise ImageError(f"{_short(url)}: host {host} is not in ALLOWED_HOSTS")
        for *_, address in socket.getaddrinfo(host, parts.port or 443, type=socket.SOCK_STREAM):
            self._check_address(str(address[0]), url)

    @staticmethod
    def _check_address(address: str, url: str) -> None:
        """Refuse private addresses; asked again of the connection itself, since a name can change between look-ups."""
        if not ipaddress.ip_address(address.split("%")[0]).is_global:
            raise ImageError(f"{_short(url)}: {address} is a private address; add the host to ALLOWED_HOSTS if you trust it")

    def _data_uri(self, uri: str) -> bytes:
        header, _, payload = uri.partition(",")
        self._check_size(len(payload) * 3 // 4 if header.endswith(";base64") else len(payload))
        try:
            return base64.b64decode(payload) if header.endswith(";base64") else unquote_to_bytes(payload)
        except (binascii.Error, ValueError) as error:
            raise ImageError(f"broken data URI ({error})") from error

    def _check_size(self, size: int) -> None:
        if size > self._settings.max_image_bytes:
            raise ImageError(f"larger than MAX_IMAGE_BYTES ({self._settings.max_image_bytes})")


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()


def _short(url: str) -> str:
    """`url` without its query, which may hold a signature."""
    return url.split("?")[0][:200]
