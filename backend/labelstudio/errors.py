"""What can go wrong with Label Studio as a whole, and failures of HTTP in words that hold no secret."""

import httpx


class LabelStudioError(RuntimeError):
    """Label Studio refused or could not be reached; the message gives the next step.

    status: HTTP status, 0 for none. passing: whether it may go well when tried again, as while Label Studio restarts.
    undone: whether what was asked for surely did not happen. again_in: the seconds that Label Studio wants to be left alone.
    """

    def __init__(
        self, message: str, status: int = 0, passing: bool = False, undone: bool = False, again_in: float | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.passing, self.undone, self.again_in = status, passing, undone, again_in


def unreachable(url: str, error: httpx.HTTPError) -> LabelStudioError:
    """Nobody answers at `url`, LABEL_STUDIO_URL."""
    undone = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
    text = f"Label Studio at {url} does not answer ({in_words(error)}). Check LABEL_STUDIO_URL."
    return LabelStudioError(text, passing=True, undone=undone)


def in_words(error: Exception) -> str:
    """What happened to a request, without its address, its headers or what was received: these may hold secrets."""
    match error:
        case httpx.ConnectTimeout():
            return "no connection in time"
        case httpx.TimeoutException():
            return "no answer in time"
        case httpx.ConnectError():
            return _of_connecting(str(error))
        case httpx.ProxyError():
            return f"the proxy refused: {str(error)[:100]}"
        case httpx.RemoteProtocolError() if "location header" in str(error):
            return "it redirects to what is no address"
        case httpx.RemoteProtocolError():
            return "the connection was closed before the answer was complete, or the answer is no HTTP"
        case httpx.DecodingError():
            return "its answer has broken compression"
        case httpx.NetworkError():
            return "the connection broke"
        case httpx.InvalidURL() | UnicodeError():
            return "it is no address"
        case OSError():
            return error.strerror or type(error).__name__
    return type(error).__name__


def _of_connecting(text: str) -> str:
    """The system's or OpenSSL's words for a connection that was not made, without error numbers and lines of code."""
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return f"its certificate is not trusted:{text.rpartition('verify failed:')[2].partition('(_ssl')[0].rstrip()}"
    words = text.partition("] ")[2] or text
    return words.partition(" (_ssl")[0][:200] or "no connection"
