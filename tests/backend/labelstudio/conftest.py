"""The server on loopback for every test of this room, and no proxies of the environment."""

from tests.backend.network.made_up import no_proxies, serve

__all__ = ["no_proxies", "serve"]
