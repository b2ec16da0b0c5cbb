"""Ports for what tests start and start again.

Clients of this machine get the ports of their own ends from a range of Linux. A service that listens there can find its
port taken when it comes back: a client that keeps trying to reach it meanwhile may be given that very port, and even
reach itself by it. So ports are chosen below that range.
"""

import random
import socket
from pathlib import Path

LOWEST = 10_000
CLIENTS = Path("/proc/sys/net/ipv4/ip_local_port_range")
CLIENTS_FROM = 32_768  # where nothing says it


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago, all different."""
    end = int(CLIENTS.read_text().split()[0]) if CLIENTS.exists() else CLIENTS_FROM
    below = range(LOWEST, end)
    chosen: list[int] = []
    for port in random.SystemRandom().sample(below, len(below)):  # unseeded: other test processes choose as well
        if len(chosen) == count:
            return chosen
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        chosen.append(port)
    raise RuntimeError(f"no {count} ports are free between {LOWEST} and {end}")
