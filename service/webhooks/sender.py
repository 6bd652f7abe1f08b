"""One signed POST to an address that was checked and is the one connected to."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Callable
from contextlib import closing
from functools import cache, cached_property
from http.client import HTTPConnection, HTTPException, HTTPResponse
from importlib.metadata import version

from standardwebhooks import Webhook as Signer

from service.domain.endpoint import Address, AddressRules, Endpoint
from service.domain.errors import InvalidInput
from service.domain.webhook import ANSWER_BYTES
from service.usecases.event_ports import Answer, Message
from service.webhooks.deadline import Deadline

SECONDS = 10.0
Resolve = Callable[[str, int], tuple[Address, ...]]
Headers = dict[str, str]


def resolve(host: str, port: int) -> tuple[Address, ...]:
    """All addresses of a host. Raises OSError when it has none, UnicodeError for what cannot be a name."""
    found = socket.getaddrinfo(host.encode("idna").decode(), port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(ipaddress.ip_address(str(row[4][0]).partition("%")[0]) for row in found))


class HttpSender:
    """Implements `service.usecases.event_ports.WebhookSender`.

    A name is looked up once, all its addresses are checked, and one of them is connected to: what the name means a
    moment later does not matter. No proxy, no redirect, no more than ANSWER_BYTES of the answer, and an end after
    `seconds`, however slowly bytes come.
    """

    def __init__(self, rules: AddressRules, resolve: Resolve = resolve, seconds: float = SECONDS) -> None:
        self._rules = rules
        self._resolve = resolve
        self._seconds = seconds

    def check(self, url: str) -> None:
        self._checked(url)

    def _checked(self, url: str) -> tuple[Endpoint, tuple[Address, ...]]:
        endpoint = self._rules.endpoint(url)
        try:
            addresses = self._resolve(endpoint.host, endpoint.port)
        except (OSError, UnicodeError):
            raise InvalidInput("The webhook's url names a host that has no address.", field="url") from None
        self._rules.check(endpoint, addresses)
        return endpoint, addresses

    def send(self, url: str, message: Message) -> Answer:
        try:
            endpoint, addresses = self._checked(url)
        except InvalidInput as error:
            return Answer(None, error=error.detail)
        with Deadline(self._seconds) as deadline:
            try:
                return self._post(endpoint, addresses, message, deadline)
            except (OSError, HTTPException) as error:
                if deadline.over or isinstance(error, TimeoutError):
                    return Answer(None, error=f"No answer within {self._seconds:g} s.")
                return Answer(None, error=_reason(error))

    def _post(self, endpoint: Endpoint, addresses: tuple[Address, ...], message: Message, deadline: Deadline) -> Answer:
        with closing(HTTPConnection(endpoint.host, endpoint.port)) as connection:
            connection.sock = self._connected(endpoint, addresses, deadline)
            connection.request("POST", endpoint.target, message.body, _headers(endpoint, message))
            response = connection.getresponse()
            if deadline.over:  # the headers were cut short, which http.client takes for their end
                raise TimeoutError
            return Answer(
                response.status,
                body=_beginning(response).decode("utf-8", "replace").replace("\0", ""),
                retry_after=_whole(response.headers.get("Retry-After", "")),
            )

    def _connected(self, endpoint: Endpoint, addresses: tuple[Address, ...], deadline: Deadline) -> socket.socket:
        connected = deadline.watch(_connect(addresses, endpoint.port, deadline))
        if endpoint.scheme == "http":
            return connected
        # The name, not the address, is what the certificate must be for.
        encrypted = self._context.wrap_socket(connected, server_hostname=endpoint.host, do_handshake_on_connect=False)
        try:
            deadline.watch(encrypted).do_handshake()
        except BaseException:
            encrypted.close()
            raise
        return encrypted

    @cached_property
    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context()


def _connect(addresses: tuple[Address, ...], port: int, deadline: Deadline) -> socket.socket:
    """To the first address that lets us. Raises the last one's OSError."""
    for address in addresses[:-1]:
        try:
            return socket.create_connection((str(address), port), deadline.left() / 2)
        except OSError:
            continue
    return socket.create_connection((str(addresses[-1]), port), deadline.left())


def _headers(endpoint: Endpoint, message: Message) -> Headers:
    body = message.body.decode()
    signatures = [Signer(secret).sign(message.id, message.at, body) for secret in message.secrets]
    return {
        "Host": endpoint.authority,
        "Content-Type": "application/json",
        "User-Agent": _agent(),
        "webhook-id": message.id,
        "webhook-timestamp": str(int(message.at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


@cache
def _agent() -> str:
    return f"model-registry/{version('model-registry')}"


def _beginning(response: HTTPResponse) -> bytes:
    """What came of the body, as far as it is kept; the answer counts without it."""
    try:
        return response.read(ANSWER_BYTES)
    except (OSError, HTTPException, ValueError):
        return b""


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _reason(error: OSError | HTTPException) -> str:
    """In our words: the error's own name addresses."""
    match error:
        case ssl.SSLCertVerificationError():
            return "The receiver's certificate is not valid for its host."
        case ssl.SSLError():
            return "The receiver does not speak TLS as it must."
        case ConnectionRefusedError():
            return "The receiver refuses connections."
        case ConnectionError():
            return "The receiver closed the connection without an answer."
        case HTTPException():
            return "The receiver's answer is not HTTP."
        case _:
            return "The receiver cannot be reached."
