"""Decide which URLs may be opened, and fetch over https without reaching the private network.

- Remote access is off by default. A catalogue allows schemes and hosts by name; fsspec's chaining (`::`) and all other
  schemes are refused.
- A host is resolved once, all its addresses must be public, and the connection goes to that address. So a name that
  resolves to another address a moment later (DNS rebinding) reaches nothing. Each redirect is checked in the same way.
  Credentials in URLs are refused.
- Sizes are counted while reading; a server's statement is not trusted.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
from collections.abc import Callable, Mapping
from urllib.parse import SplitResult, urljoin, urlsplit

from model.config.catalogue import SCHEMES, RemoteConfig

TIMEOUT_S = 30.0
MAX_REDIRECTS = 3
_REDIRECTS = (301, 302, 303, 307, 308)

EMBEDDING = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("::/96"))
"""Networks whose last 32 bits are an IPv4 address: NAT64, and the older IPv4-compatible form."""
Number = ipaddress.IPv4Address | ipaddress.IPv6Address

Resolve = Callable[[str, int], list[str]]
"""Host and port -> numeric addresses."""


def is_remote(name: str) -> bool:
    """Return whether a name is a URL rather than a path."""
    return "://" in name or "::" in name


def check_address(address: str, remote: RemoteConfig) -> SplitResult:
    """Return the parts of a URL, if it may be opened.

    Raises:
        ValueError: the scheme or the host is not allowed, or the URL has more than scheme, host, port, path and query.
    """
    parts = urlsplit(address)
    allowed = f"allowed by the catalogue: schemes {_listed(remote.schemes)}, hosts {_listed(remote.hosts)}"
    if "::" in address or "\0" in address or "\\" in address or any(each.isspace() for each in address):
        raise ValueError(f"{address!r} is not a plain address (no '::', white space or backslash)")
    if parts.scheme not in SCHEMES or parts.scheme not in remote.schemes:
        raise ValueError(f"{address}: scheme {parts.scheme!r} may not be opened; {allowed}")
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"{parts.scheme}://{parts.hostname}: credentials in an address are not allowed")
    if (parts.hostname or "") not in {host.lower() for host in remote.hosts}:
        raise ValueError(f"{address}: host {parts.hostname!r} may not be opened; {allowed}")
    if ".." in parts.path.split("/"):
        raise ValueError(f"{address}: '..' in a path is not allowed")
    return parts


def resolve(host: str, port: int) -> list[str]:
    """Return the numeric addresses of a host."""
    return [str(each[4][0]) for each in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def public_address(host: str, port: int, resolver: Resolve = resolve) -> str:
    """Resolve a host once, and return its first address.

    Raises:
        ValueError: it does not resolve, or one of its addresses is not public.
    """
    try:
        found = resolver(host, port)
    except OSError as error:
        raise ValueError(f"{host} does not resolve: {error}") from error
    for address in found:
        number = ipaddress.ip_address(address.partition("%")[0])
        if not (_is_public(number) and _is_public(_within(number))):
            raise ValueError(f"{host} resolves to {address}, which is not a public address")
    if not found:
        raise ValueError(f"{host} has no address")
    return found[0]


def _is_public(number: Number) -> bool:
    return number.is_global and not number.is_multicast and not getattr(number, "is_site_local", False)


def _within(number: Number) -> Number:
    """Return the IPv4 address that an IPv6 address contains (mapped, embedded or 6to4), else the address itself.

    A gateway would connect to the IPv4 address, so that one must be public too.
    """
    if isinstance(number, ipaddress.IPv4Address):
        return number
    embedded = ipaddress.IPv4Address(int(number) & 0xFFFFFFFF) if any(number in each for each in EMBEDDING) else None
    return number.ipv4_mapped or embedded or number.sixtofour or number


def fetch(address: str, remote: RemoteConfig, *, max_bytes: int, headers: Mapping[str, str] | None = None,
          resolver: Resolve = resolve, context: ssl.SSLContext | None = None) -> bytes:
    """Read the contents of an https URL.

    Args:
        address: the URL; it and each redirect are checked against `remote` first.
        remote: what may be opened.
        max_bytes: the most bytes of the answer's body.
        headers: headers of the request, such as a range.
        resolver: resolves host names.
        context: TLS context; by default with the system's certificates.

    Raises:
        ValueError: it may not be opened, does not answer, or is too large; the message has the URL.
    """
    for _ in range(MAX_REDIRECTS + 1):
        parts = check_address(address, remote)
        port = parts.port or 443
        pinned = public_address(parts.hostname or "", port, resolver)
        connection = _Pinned(parts.hostname or "", port, pinned, context or ssl.create_default_context())
        try:
            status, location, body = _get(connection, parts, dict(headers or {}), max_bytes)
        except (OSError, http.client.HTTPException) as error:
            raise ValueError(f"{address}: no answer ({type(error).__name__}: {error})") from error
        finally:
            connection.close()
        if status in _REDIRECTS and location:
            address = urljoin(address, location)
        elif status not in (200, 206):
            raise ValueError(f"{address}: the server answers {status}")
        elif len(body) > max_bytes:
            raise ValueError(f"{address}: more than {max_bytes} bytes; allowed: {max_bytes} bytes")
        else:
            return body
    raise ValueError(f"{address}: more than {MAX_REDIRECTS} redirects")


def _get(connection: http.client.HTTPSConnection, parts: SplitResult, headers: dict[str, str],
         max_bytes: int) -> tuple[int, str | None, bytes]:
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection.request("GET", path, headers={"Accept-Encoding": "identity", **headers})
    response = connection.getresponse()
    return response.status, response.getheader("Location"), response.read(max_bytes + 1)


class _Pinned(http.client.HTTPSConnection):
    """A TLS connection to one numeric address, verified for the host's name."""

    def __init__(self, host: str, port: int, address: str, context: ssl.SSLContext) -> None:
        super().__init__(host, port, timeout=TIMEOUT_S, context=context)
        self._address, self._tls = address, context

    def connect(self) -> None:
        plain = socket.create_connection((self._address, self.port), self.timeout)
        self.sock = self._tls.wrap_socket(plain, server_hostname=self.host)


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "none"
