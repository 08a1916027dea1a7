"""Image bytes for tasks: from Label Studio, its storages, data URIs and allowed hosts, within limits, and from nowhere else."""

import base64
import binascii
import re
import socket
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote_to_bytes

import httpx

from backend.labelstudio.answers import BUSY, retry_after
from backend.labelstudio.client import LabelStudio, LabelStudioError
from backend.labelstudio.errors import in_words
from backend.labelstudio.own_files import LOGIN_PATH, OwnFiles
from backend.network.guard import AddressRefused, Guard
from backend.network.proxies import Proxies
from backend.network.transport import make_client, request_within
from backend.settings import Settings
from model.embeddings.images import ImageError

REDIRECTS = 5
SOON = 60.0  # seconds until another try where the trouble may pass by itself
LONGEST_WAIT = 3600.0  # that a host may ask for
WAITED_FOR = (BUSY, 503)
TRIES = 4  # where a host is busy and does not say until when
NOT_HERE = (401, 403, 404, 410)
HINTS = {
    True: {
        403: ": the file is gone, or the token's user may not see it",
        404: ": the file is gone, or its storage is not connected to the project",
    },
    False: {401: ": it wants a login", 403: ": it wants a login, or a signed link has expired"},
}  # by whether it is Label Studio that answers
GONE = b"has no attribute 'has_permission'"  # Label Studio 1.23 fails so, with a 500, on an uploaded file that was deleted
INFLATED_AT_ONCE = 65_536
NOT_UNDONE = {"br", "brotli", "zstd", "compress", "x-compress"}  # compression that is not asked for
WHITE_SPACE = re.compile(rb"\s+")


class ImageSource:
    """Fetches what a task's image reference stands for. Safe to share between threads."""

    def __init__(self, settings: Settings, label_studio: LabelStudio) -> None:
        self._settings = settings
        self._label_studio = label_studio
        self._own = OwnFiles(label_studio.url)
        self._guard = Guard(settings.hosts)
        self._proxies = Proxies.of_environment()
        self._own_http = make_client(self._proxies, settings.image_seconds)
        self._http = make_client(self._proxies, settings.image_seconds, checked=True)

    def fetch(self, task: int, reference: str) -> bytes:
        """The bytes of the image `reference` of `task`.

        Raises ImageError with the reason and the next step; LabelStudioError where Label Studio as a whole does not answer.
        """
        try:
            return self._fetch(task, reference)
        except (ImageError, LabelStudioError):
            raise
        except (httpx.InvalidURL, UnicodeError):
            failure = ImageError("its reference cannot be fetched: it is no address")
        except Exception as error:  # noqa: BLE001  whatever one reference brings must cost that image alone
            failure = ImageError(f"it cannot be fetched ({in_words(error)})", SOON)
        raise failure

    def close(self) -> None:
        """Let go of its connections."""
        self._http.close()
        self._own_http.close()

    def _fetch(self, task: int, reference: str) -> bytes:
        reference = reference.strip() if isinstance(reference, str) else ""
        if not reference:
            raise ImageError("the task has no image under the labelling config's data key")
        if reference[:5].lower() == "data:":
            return self._data_uri(reference)
        deadline = time.monotonic() + self._settings.image_seconds
        failures: list[ImageError] = []
        for place in self._places(task, reference):
            try:
                return self._follow(place, deadline)
            except _NotHere as error:
                failures.append(error)
            except ImageError as error:
                failures.append(error)
                break
        raise ImageError("; ".join(map(str, failures)), failures[-1].again_in)

    def _places(self, task: int, reference: str) -> list[httpx.URL]:
        try:
            named_first = self._guard.allows_by_name(httpx.URL(reference))
        except httpx.InvalidURL:
            named_first = False
        return self._own.places(task, reference, named_first)

    def _follow(self, url: httpx.URL, deadline: float) -> bytes:
        """What is at `url`, redirects followed, each to an address that is checked anew."""
        for _ in range(REDIRECTS):
            answer = self._get(url, deadline)
            if isinstance(answer, bytes):
                return answer
            url = self._own.next(url, answer)
        raise ImageError(f"{self._name(url)}: more than {REDIRECTS} redirects")

    def _get(self, url: httpx.URL, deadline: float) -> bytes | httpx.URL:
        """The content, or where it redirects to; a host that is busy is waited for."""
        for attempt in range(TRIES):
            try:
                with self._asked(url, deadline) as response:
                    if response.status_code not in WAITED_FOR:
                        return self._taken(response, url)
                    wanted = retry_after(response)
            except _BrokenOff as error:
                if attempt == 0:  # as when a host closes a connection that was kept for it
                    continue
                raise self._trouble(url, str(error)) from None
            wait = 2.0**attempt if wanted is None else wanted
            if time.monotonic() + wait >= deadline:
                break
            time.sleep(wait)
        again_in = min(max(wanted or 0, SOON), LONGEST_WAIT)
        raise self._trouble(url, f"{self._name(url)} answered {response.status_code}: it asks to come again later", again_in)

    @contextmanager
    def _asked(self, url: httpx.URL, deadline: float) -> Iterator[httpx.Response]:
        """The answer at `url`, not yet read, with its failures as ImageError or LabelStudioError."""
        own = self._own.has(url)
        try:
            addresses = () if own else self._checked(url)
            http, auth = (self._own_http, self._label_studio.auth) if own else (self._http, None)
            with request_within(deadline, addresses), http.stream("GET", url, auth=auth) as response:
                yield response
        except AddressRefused as error:
            raise ImageError(str(error)) from None
        except httpx.TimeoutException:
            text = f"{self._name(url)} took longer than IMAGE_SECONDS ({self._settings.image_seconds:g})"
            raise self._trouble(url, text) from None
        except socket.gaierror as error:
            again_in = None if error.errno == socket.EAI_NONAME else SOON
            raise ImageError(f"{self._name(url)}: it cannot be fetched ({in_words(error)})", again_in) from None
        except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError) as error:
            raise _BrokenOff(f"{self._name(url)}: it cannot be fetched ({in_words(error)})") from None
        except (httpx.HTTPError, OSError) as error:
            raise self._trouble(url, f"{self._name(url)}: it cannot be fetched ({in_words(error)})") from None

    def _checked(self, url: httpx.URL) -> tuple[str, ...]:
        """The addresses to connect to for `url`; none behind a proxy, which alone knows the names there."""
        if self._proxies.of(url) is None:
            return self._guard.addresses(url)
        self._guard.check(url)
        return ()

    def _taken(self, response: httpx.Response, url: httpx.URL) -> bytes | httpx.URL:
        """What an answer brings: content, or the address to go on with."""
        status, own, name = response.status_code, self._own.has(url), self._name(url)
        if status in (301, 302, 303, 307, 308) and response.headers.get("Location"):
            target = url.join(response.headers["Location"])
            if own and LOGIN_PATH.search(target.path):
                raise self._trouble(url, "Label Studio asks to log in for the file, though it takes the token elsewhere")
            return target
        if own and status == 500 and GONE in next(response.iter_bytes(4096), b""):
            raise _NotHere(f"{name} answered 500{HINTS[own][404]}")
        if own and (status == 401 or status >= 500):
            raise self._trouble(url, f"{name} answered {status} for the file")
        if status in NOT_HERE:
            raise _NotHere(f"{name} answered {status}{HINTS[own].get(status, '')}")
        if status == 408 or status >= 500:
            raise ImageError(f"{name} answered {status}", SOON)
        if 300 <= status < 400:
            raise ImageError(f"{name} answered {status}, a redirect that does not say where to")
        if status == 407:
            raise ImageError(f"the proxy to {name} asks for a password (407): put one into HTTP_PROXY", SOON)
        if status not in (200, 203):
            raise ImageError(f"{name} answered {status}")
        return self._content(response, name)

    def _content(self, response: httpx.Response, name: str) -> bytes:
        """The body, read no further than the limit."""
        length = response.headers.get("Content-Length", "")
        self._check_size(int(length) if length.isdecimal() and len(length) < 20 else 0)
        chunks, size = [], 0
        try:
            for chunk in _plain(response, name):
                chunks.append(chunk)
                size += len(chunk)
                self._check_size(size)
        except zlib.error:
            raise ImageError(f"{name} answered with broken compression") from None
        return b"".join(chunks)

    def _trouble(self, url: httpx.URL, text: str, again_in: float = SOON) -> ImageError | LabelStudioError:
        """`text` as an error of the image alone, unless Label Studio, which was asked, answers nothing else either."""
        outage = self._label_studio.outage() if self._own.has(url) else None
        return outage or ImageError(text, again_in)

    def _name(self, url: httpx.URL) -> str:
        """Who is asked, without the path and query, which may hold secrets."""
        return "Label Studio" if self._own.has(url) else url.netloc.decode("ascii", "replace")

    def _data_uri(self, uri: str) -> bytes:
        header, comma, payload = uri.partition(",")
        encoded = header.rstrip().lower().endswith(";base64")
        self._check_size(len(payload) * 3 // 4 if encoded else 0)
        content = unquote_to_bytes(payload)
        if encoded:
            content = WHITE_SPACE.sub(b"", content).rstrip(b"=")
            try:
                content = base64.b64decode(content + b"=" * (-len(content) % 4))
            except (binascii.Error, ValueError):
                comma = ""
        if not comma:
            raise ImageError("a broken data URI")
        self._check_size(len(content))
        return content

    def _check_size(self, size: int) -> None:
        if size > self._settings.max_image_bytes:
            raise ImageError(f"larger than MAX_IMAGE_BYTES ({self._settings.max_image_bytes})")


class _NotHere(ImageError):
    """A host that has no such file, or keeps it to itself; another one may have it."""


class _BrokenOff(Exception):
    """A connection that broke before the answer was complete."""


def _plain(response: httpx.Response, name: str) -> Iterator[bytes]:
    """The body in small parts. Compression is undone here, since httpx undoes a part of any size at once."""
    named = [encoding.strip() for encoding in response.headers.get("Content-Encoding", "").lower().split(",")]
    encodings = [encoding for encoding in named if encoding in NOT_UNDONE or encoding in ("gzip", "x-gzip", "deflate")]
    if not encodings:  # others, as "aws-chunked" of S3 or "binary", change nothing: browsers pass them over too
        yield from response.iter_raw()
        return
    if len(encodings) > 1 or encodings[0] in NOT_UNDONE:
        raise ImageError(f"{name} answered in the encoding {', '.join(encodings)[:40]!r}, which was not asked for")
    inflate = None
    for part in response.iter_raw():
        if inflate is None:
            bare = encodings[0] == "deflate" and part[0] & 0x0F != zlib.DEFLATED  # without the header that zlib has
            inflate = zlib.decompressobj(-zlib.MAX_WBITS if bare else zlib.MAX_WBITS | 32)  # gzip or zlib, as it begins
        while part and not inflate.eof:
            yield inflate.decompress(part, INFLATED_AT_ONCE)
            part = inflate.unconsumed_tail
        if inflate.eof:  # what follows is no part of the image, and may have no end
            return
    if inflate is not None:
        yield inflate.flush()
