"""HOST and PORT: who answers there already, and the socket to listen on."""

import errno
import socket

from backend.commands.shared import CommandError
from backend.connection.answering import local_url, who_answers
from backend.settings import Settings

SECONDS = 2.0
REASONS = {
    errno.EADDRINUSE: "something listens there already",
    errno.EADDRNOTAVAIL: "HOST is no address of this machine",
    errno.EACCES: "this user may not listen there: ports below 1024 are kept for root",
}


def check_port(settings: Settings, identity: str) -> None:
    """Raise CommandError where HOST and PORT cannot be listened on; it says who does. identity: of our DATA_DIR."""
    url = local_url(settings.host, settings.port)
    answering = who_answers(url, SECONDS)
    if answering.identity == identity:
        raise CommandError(f"The server of DATA_DIR={settings.data_dir} answers at {url} already: stop that one first.")
    if answering.identity:
        raise CommandError(f"{url}: an active-learning plugin with another DATA_DIR answers there. {_advice(settings)}")
    if answering.reached:
        raise CommandError(f"{url}: {answering.trouble}. {_advice(settings)}")
    listen(settings).close()


def listen(settings: Settings) -> socket.socket:
    """A socket that listens on HOST and PORT. Raises CommandError where there can be none."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=2048)
    except OSError as error:
        if (error.errno or 0) < 0:  # of the look-up of its name
            raise CommandError(f"HOST={settings.host} is no address and no name that this machine knows.") from error
        reason = REASONS.get(error.errno or 0) or error.strerror
        raise CommandError(f"HOST={settings.host} PORT={settings.port}: {reason}. {_advice(settings)}") from error


def _advice(settings: Settings) -> str:
    other = settings.port + 1 if settings.port < 65_535 else 9090
    return f"Stop it, or set another PORT, as in PORT={other}, and BACKEND_URL to match where that is set."
