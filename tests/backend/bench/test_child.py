"""Servers as child processes, and the ports they are given."""

import socket

from backend.bench import child
from backend.bench.child import PORTS, free_port


def test_a_port_is_given_once_and_never_one_that_the_system_hands_out():
    with socket.socket() as handed_out:
        handed_out.bind(("127.0.0.1", 0))
        ports = [free_port() for _ in range(50)]
        assert len(set(ports)) == len(ports)
        assert max(ports) < PORTS.stop <= handed_out.getsockname()[1]


def test_a_port_that_somebody_has_is_passed_over(monkeypatch):
    port = free_port()
    monkeypatch.setattr(child, "_counted", iter([PORTS.index(port), PORTS.index(port) + 1, PORTS.index(port) + 2]))
    with socket.socket() as somebody:
        somebody.bind(("127.0.0.1", port))
        somebody.listen()
        assert free_port() != port
