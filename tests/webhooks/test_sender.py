"""Sending: to the address that was checked and no other, for ten seconds and no longer, signed."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from standardwebhooks import WebhookVerificationError

from service.domain.endpoint import Address, AddressRules
from service.domain.errors import InvalidInput
from service.usecases.clock import utc_now
from service.usecases.event_ports import Answer, Message
from service.webhooks.sender import HttpSender
from tests.webhooks.receiver import Receiver, Reply

LOCAL = ipaddress.ip_address("127.0.0.1")
OTHER_LOCAL = ipaddress.ip_address("127.0.0.2")
RULES = AddressRules.parse(("127.0.0.1",))
FIRST = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SECOND = "whsec_" + "A" * 43 + "="


def message(*secrets: str) -> Message:
    return Message("e-1", utc_now(), b'{"type":"stage.changed"}', secrets or (FIRST,))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        yield made


def test_what_is_sent(receiver: Receiver) -> None:
    sent = message()
    answer = HttpSender(RULES).send(f"{receiver.url}/a%20b?x=y&z", sent)
    assert answer == Answer(204)
    (request,) = receiver.requests
    assert (request.path, request.body) == ("/hook/a%20b?x=y&z", sent.body)
    assert request.verified(FIRST) == {"type": "stage.changed"}
    assert request.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["webhook-id"] == "e-1"
    assert request.headers["webhook-timestamp"] == str(int(sent.at.timestamp()))
    assert request.headers["user-agent"].startswith("model-registry/")
    assert "authorization" not in request.headers
    with pytest.raises(WebhookVerificationError):
        request.verified(SECOND)


def test_each_secret_signs(receiver: Receiver) -> None:
    HttpSender(RULES).send(receiver.url, message(FIRST, SECOND))
    (request,) = receiver.requests
    assert [part.partition(",")[0] for part in request.headers["webhook-signature"].split(" ")] == ["v1", "v1"]
    assert request.verified(FIRST) == request.verified(SECOND)


def test_no_proxy_and_no_redirect(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    receiver.reply = lambda request: Reply(302, headers={"Location": receiver.url})
    assert HttpSender(RULES).send(receiver.url, message()).status == 302
    assert len(receiver.requests) == 1


def test_the_answer_is_cut_and_told_as_text(receiver: Receiver) -> None:
    receiver.reply = lambda request: Reply(500, b"a\0\xff" * 10_000, {"Retry-After": "120"})
    answer = HttpSender(RULES).send(receiver.url, message())
    assert (answer.status, answer.retry_after) == (500, 120)
    assert len(answer.body) == 683
    assert answer.body.startswith("a\N{REPLACEMENT CHARACTER}a")
    receiver.reply = lambda request: Reply(200, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"})
    assert HttpSender(RULES).send(receiver.url, message()) == Answer(200)


def test_the_name_may_lead_elsewhere_a_moment_later(receiver: Receiver) -> None:
    """DNS rebinding: what was checked is what is connected to, and it is looked up anew each time."""
    answers: list[tuple[Address, ...]] = [(LOCAL,), (OTHER_LOCAL,), (LOCAL, OTHER_LOCAL)]
    asked: list[tuple[str, int]] = []

    def resolve(host: str, port: int) -> tuple[Address, ...]:
        asked.append((host, port))
        return answers.pop(0)

    sender = HttpSender(RULES, resolve)
    url = f"http://rebind.example:{receiver.port}/"
    assert sender.send(url, message()).status == 204
    assert receiver.requests[0].headers["host"] == f"rebind.example:{receiver.port}"
    for _ in range(2):
        refused = sender.send(url, message())
        assert refused.status is None
        assert "https://" in refused.error
    assert len(receiver.requests) == 1
    assert asked == [("rebind.example", receiver.port)] * 3


def test_the_second_address_is_tried_when_the_first_is_dead(receiver: Receiver) -> None:
    rules = AddressRules.parse(("127.0.0.0/8",))
    sender = HttpSender(rules, lambda host, port: (OTHER_LOCAL, LOCAL))
    assert sender.send(f"http://two.example:{receiver.port}/", message()).status == 204


def test_urls_that_may_not_be_sent_to(receiver: Receiver) -> None:
    for rules in (AddressRules(), AddressRules.parse(("10.0.0.0/8",))):
        sender = HttpSender(rules)
        for url in (receiver.url, receiver.url.replace("127.0.0.1", "2130706433"), "ftp://127.0.0.1/"):
            with pytest.raises(InvalidInput):
                sender.check(url)
            answer = sender.send(url, message())
            assert answer.status is None
            assert answer.error
            assert "127.0.0.1" not in answer.error
    with pytest.raises(InvalidInput, match="no address"):
        HttpSender(RULES).check("https://nowhere.invalid/")
    assert receiver.requests == []


@contextmanager
def dripping(first: bytes, drop: bytes) -> Iterator[str]:
    """A server that sends `first`, and then `drop` again and again."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                try:
                    connection.sendall(first)
                    while drop:
                        connection.sendall(drop)
                        time.sleep(0.05)
                    connection.recv(65536)
                except OSError:
                    return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"://127.0.0.1:{server.getsockname()[1]}/"
        thread.join(5)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_no_drip_of_bytes_keeps_it_waiting(scheme: str) -> None:
    with dripping(b"HTTP/1.1 200 OK\r\n" if scheme == "http" else b"\x16\x03\x03\x40\x00", b"x") as address:
        began = time.monotonic()
        answer = HttpSender(RULES, seconds=0.5).send(scheme + address, message())
        assert answer == Answer(None, error="No answer within 0.5 s.")
        assert time.monotonic() - began < 2


def test_a_body_that_drips_does_not_undo_the_answer() -> None:
    with dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x") as address:
        began = time.monotonic()
        assert HttpSender(RULES, seconds=0.5).send("http" + address, message()).status == 200
        assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000, "not HTTP"),
    ],
)
def test_what_is_no_answer_is_told_in_words(said: bytes, reason: str) -> None:
    with dripping(said, b"") as address:
        answer = HttpSender(RULES, seconds=2).send("http" + address, message())
    assert answer.status is None
    assert reason in answer.error


def test_a_closed_port_is_told_in_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert HttpSender(RULES).send(f"http://127.0.0.1:{port}/", message()) == Answer(
        None, error="The receiver refuses connections."
    )


def _certificate(folder: Path, host: str) -> ssl.SSLContext:
    """A server's context with a certificate for `host`, which is also its own authority, in `folder`/ca.pem."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "ca.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "ca.pem", folder / "key.pem")
    return context


def test_tls_is_for_the_name_and_not_for_the_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = _certificate(tmp_path, "hooks.example")
    names: list[str | None] = []
    context.sni_callback = lambda connection, name, _: names.append(name)
    with Receiver() as receiver:
        receiver.encrypt(context)
        sender = HttpSender(RULES, lambda host, port: (LOCAL,))
        url = f"https://hooks.example:{receiver.port}/"
        distrusted = sender.send(url, message())
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        sender = HttpSender(RULES, lambda host, port: (LOCAL,))
        assert sender.send(url, message()) == Answer(204)
        other = sender.send(url.replace("hooks.", "other."), message())
        assert names == ["hooks.example", "hooks.example", "other.example"]
        assert [request.headers["host"] for request in receiver.requests] == [f"hooks.example:{receiver.port}"]
    wrong = Answer(None, error="The receiver's certificate is not valid for its host.")
    assert (distrusted, other) == (wrong, wrong)
