"""Where a webhook may lead: never into the network that the service itself stands in, unless the operator says so."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from service.domain.errors import InvalidInput

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
MAX_URL = 2000
PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?|\[[0-9A-Fa-f:.]+\]")

# The special-purpose registries of IANA; Python's `is_global` differs between releases.
_REFUSED_V4 = [
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT, and metadata services of some clouds
        "127.0.0.0/8",
        "168.63.129.16/32",  # the host of Azure's virtual machines
        "169.254.0.0/16",  # link-local, and metadata services of most clouds
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",  # multicast, reserved, broadcast
    )
]
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_REFUSED_V6 = [
    ipaddress.IPv6Network(text)
    for text in (
        "2001::/23",  # Teredo, ORCHID and other protocol assignments
        "2001:db8::/32",
        "2002::/16",  # 6to4 holds any IPv4 address
        "3fff::/20",
    )
]
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


@dataclass(frozen=True)
class Endpoint:
    """A URL, taken apart once. `host` is without brackets and in lower case; `target` is path and query."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """What the Host header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"


@dataclass(frozen=True)
class AddressRules:
    """The operator's exceptions: networks and host names that may be reached though private, and without TLS."""

    networks: tuple[Network, ...] = ()
    hosts: frozenset[str] = field(default_factory=frozenset)

    @classmethod
    def parse(cls, names: tuple[str, ...]) -> AddressRules:
        """Raises ValueError naming the first that is neither a network, an address nor a host."""
        networks: list[Network] = []
        hosts: set[str] = set()
        for name in names:
            try:
                networks.append(ipaddress.ip_network(name))
            except ValueError:
                # `10.0.0.1/8` and `10.0.0` are networks gone wrong, and would never match as hosts.
                if not _HOST.fullmatch(name) or re.fullmatch(r"[\d.]+", name) or name.startswith("["):
                    raise ValueError(name) from None
                hosts.add(name.lower().rstrip("."))
        return cls(tuple(networks), frozenset(hosts))

    def endpoint(self, url: str) -> Endpoint:
        """The URL taken apart. Raises InvalidInput for one that no event may ever be sent to."""
        endpoint = parse_endpoint(url)
        if endpoint.scheme == "http" and not self._may_be_plain(endpoint.host):
            raise _refused("must begin with https://; the operator can name hosts that may do without")
        return endpoint

    def _may_be_plain(self, host: str) -> bool:
        """Networks are looked at once the address is known."""
        return bool(self.networks) or host.rstrip(".") in self.hosts

    def check(self, endpoint: Endpoint, addresses: tuple[Address, ...]) -> None:
        """Raises InvalidInput when one of the host's addresses may not be reached."""
        if endpoint.host.rstrip(".") in self.hosts:
            return
        for address in addresses:
            if self._names(address):
                continue
            if endpoint.scheme == "http":
                raise _refused("must begin with https://; the operator can name hosts that may do without")
            if is_private(address):
                raise _refused("leads to a private or reserved address, which the operator has not allowed")

    def _names(self, address: Address) -> bool:
        plain = unmapped(address)
        return any(plain in network for network in self.networks)


def unmapped(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one that stands for it (mapped, or translated by NAT64)."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def is_private(address: Address) -> bool:
    """Whether the address is anything but one host's on the public internet."""
    plain = unmapped(address)
    if isinstance(plain, ipaddress.IPv4Address):
        return any(plain in network for network in _REFUSED_V4)
    return plain not in _GLOBAL_V6 or any(plain in network for network in _REFUSED_V6)


def parse_endpoint(url: str) -> Endpoint:
    """Raises InvalidInput unless it is a plain http(s) URL: no user, no fragment, nothing that parsers disagree on."""
    if len(url) > MAX_URL or not re.fullmatch(r"[!-\[\]-~]+", url):
        raise _refused(f"must be at most {MAX_URL} characters of ASCII, without spaces and backslashes")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _refused("is no URL") from None
    if parts.scheme not in PORTS or not parts.hostname:
        raise _refused("must be an https:// URL")
    if "@" in parts.netloc:
        raise _refused("must be without user and password")
    if parts.fragment or not _HOST.fullmatch(parts.netloc.rpartition(":")[0] if port is not None else parts.netloc):
        raise _refused("is no URL of a host, a path and a query")
    if port == 0:
        raise _refused("has a port that cannot be")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Endpoint(parts.scheme, parts.hostname.lower(), port or PORTS[parts.scheme], target)


def _refused(reason: str) -> InvalidInput:
    return InvalidInput(f"The webhook's url {reason}.", field="url")
