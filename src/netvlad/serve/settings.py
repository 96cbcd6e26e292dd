"""What a server allows, and how long it takes over it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from netvlad.errors import NetvladError

SHORTEST_TOKEN = 16  # characters


@dataclass(frozen=True)
class Settings:
    """Limits of a server.

    token: what callers have to show, "" for none. body: bytes of a request. photos: of a request. queue: photos that
    are in work or wait; further ones are refused until there is room. memory: bytes of all bodies that are held at
    once. deadline: seconds for a request, from its first byte to its answer. wait: seconds for which a photo waits for
    others that share its forward pass. batch: photos of one forward pass. workers: processes that decode photos, by
    default one per core but at most 4. tiles: "osm", "none", a template with {z}, {x} and {y}, or a .pmtiles file.
    """

    token: str = ""
    body: int = 64 << 20
    photos: int = 32
    queue: int = 128
    memory: int = 512 << 20
    deadline: float = 30.0
    wait: float = 0.004
    batch: int = 16
    workers: int | None = None
    tiles: str = "osm"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def read_token(file: Path | None) -> str:
    """The token in a file, without the blanks around it; "" for no file. Raises NetvladError for a weak one."""
    if file is None:
        return ""
    try:
        token = file.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as e:
        raise NetvladError(f"cannot be read as a token ({e})", path=file) from e
    if len(token) < SHORTEST_TOKEN or not token.isprintable() or " " in token:
        raise NetvladError(
            f"holds no token of at least {SHORTEST_TOKEN} characters without blanks; "
            "`python -c 'import secrets; print(secrets.token_urlsafe())'` prints one",
            path=file,
        )
    return token


def check_address(host: str, token: str) -> None:
    """Raise NetvladError for an address that others reach and no token."""
    if not token and not is_loopback(host):
        raise NetvladError(
            f"{host} is reached from other machines, and anyone there could ask and see the map's photos: "
            "give --token-file, or serve on 127.0.0.1"
        )
