"""The server on loopback for every test of this room, and no proxies of the environment; image sources for a Label Studio."""

from tests.backend.labelstudio.made_up import from_host, source
from tests.backend.network.made_up import no_proxies, serve

__all__ = ["from_host", "no_proxies", "serve", "source"]
