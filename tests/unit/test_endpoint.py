"""Where webhooks may lead: URLs and addresses, one by one."""

from __future__ import annotations

import ipaddress

import pytest

from service.domain.endpoint import AddressRules, Endpoint, is_private, parse_endpoint
from service.domain.errors import InvalidInput

PUBLIC = "93.184.216.34"
PRIVATE = [
    # literal hosts of URLs, each of which a resolver turns into the address that is written beside it
    ("http://127.0.0.1/", "127.0.0.1"),
    ("https://127.0.0.1/", "127.0.0.1"),
    ("https://127.0.0.1:8443/x", "127.0.0.1"),
    ("https://127.1/", "127.0.0.1"),
    ("https://2130706433/", "127.0.0.1"),
    ("https://0x7f.1/", "127.0.0.1"),
    ("https://0177.0.0.1/", "127.0.0.1"),
    ("https://localhost/", "127.0.0.1"),
    ("https://LOCALHOST./", "127.0.0.1"),
    ("https://0.0.0.0/", "0.0.0.0"),  # noqa: S104 - an address to be refused
    ("https://10.0.0.1/", "10.0.0.1"),
    ("https://172.16.0.1/", "172.16.0.1"),
    ("https://172.31.255.255/", "172.31.255.255"),
    ("https://192.168.1.1/", "192.168.1.1"),
    ("https://169.254.169.254/latest/meta-data/", "169.254.169.254"),
    ("https://metadata.google.internal/", "169.254.169.254"),
    ("https://100.64.0.1/", "100.64.0.1"),
    ("https://100.100.100.200/", "100.100.100.200"),
    ("https://168.63.129.16/", "168.63.129.16"),
    ("https://192.0.0.192/", "192.0.0.192"),
    ("https://198.18.0.1/", "198.18.0.1"),
    ("https://192.0.2.1/", "192.0.2.1"),
    ("https://224.0.0.1/", "224.0.0.1"),
    ("https://239.255.255.250/", "239.255.255.250"),
    ("https://240.0.0.1/", "240.0.0.1"),
    ("https://255.255.255.255/", "255.255.255.255"),
    ("https://[::1]/", "::1"),
    ("https://[::]/", "::"),
    ("https://[::ffff:127.0.0.1]/", "::ffff:127.0.0.1"),
    ("https://[::ffff:a9fe:a9fe]/", "::ffff:a9fe:a9fe"),
    ("https://[::127.0.0.1]/", "::127.0.0.1"),
    ("https://[64:ff9b::7f00:1]/", "64:ff9b::7f00:1"),
    ("https://[64:ff9b:1::1]/", "64:ff9b:1::1"),
    ("https://[2002:7f00:1::]/", "2002:7f00:1::"),
    ("https://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/", "2001:0:4136:e378:8000:63bf:3fff:fdd2"),
    ("https://[2001:db8::1]/", "2001:db8::1"),
    ("https://[fe80::1]/", "fe80::1"),
    ("https://[fec0::1]/", "fec0::1"),
    ("https://[fc00::1]/", "fc00::1"),
    ("https://[fd00:ec2::254]/", "fd00:ec2::254"),
    ("https://[ff02::1]/", "ff02::1"),
    ("https://[3fff::1]/", "3fff::1"),
    ("https://[5f00::1]/", "5f00::1"),
    ("https://localtest.me/", "127.0.0.1"),
]
NO_URLS = [
    "",
    "hooks.example.com",
    "//hooks.example.com/",
    "ftp://hooks.example.com/",
    "file:///etc/passwd",
    "gopher://hooks.example.com:70/_x",
    "javascript:alert(1)",
    "https:hooks.example.com",
    "https:///path",
    "https://",
    "https://user@hooks.example.com/",
    "https://user:secret@hooks.example.com/",
    "https://hooks.example.com@127.0.0.1/",
    "https://hooks.example.com\\@127.0.0.1/",
    "https://hooks.example.com\\.evil.example/",
    "https://hooks.example.com#@127.0.0.1/",
    "https://hooks.example.com/#fragment",
    "https://hooks.example.com/ space",
    "https://hooks.example.com/\r\nX-Injected: 1",
    "https://hooks.example.com/\0",
    "https://hooks.example.com:0/",
    "https://hooks.example.com:65536/",
    "https://hooks.example.com:port/",
    "https://hooks.example.com:/",
    "https://hooks.example.com:443:443/",
    "https://[fe80::1%25eth0]/",
    "https://[::1/",
    "https://::1/",
    "https://hooks_.-/",
    "https://%31%32%37.0.0.1/",
    "https://\N{CIRCLED DIGIT ONE}27.0.0.1/",
    "https://b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher.example/",
    "https://hooks.example.com/" + "x" * 2000,
]


def refused(rules: AddressRules, url: str, *addresses: str) -> bool:
    try:
        rules.check(rules.endpoint(url), tuple(map(ipaddress.ip_address, addresses)))
    except InvalidInput as error:
        return error.where == {"field": "url"} and not any(address in error.detail for address in addresses)
    return False


@pytest.mark.parametrize(("url", "address"), PRIVATE)
def test_private_and_reserved_addresses_are_refused_unless_named(url: str, address: str) -> None:
    assert refused(AddressRules(), url, address)
    assert refused(AddressRules(), "https://hooks.example.com/", address), "whatever name leads there"
    assert refused(AddressRules(), "https://hooks.example.com/", PUBLIC, address), "also as one of several"
    inner = ipaddress.ip_address(address)
    plain = getattr(inner, "ipv4_mapped", None) or inner
    if address != "64:ff9b::7f00:1":
        assert not refused(AddressRules.parse((str(plain),)), url, address)


@pytest.mark.parametrize("url", NO_URLS)
def test_no_urls_are_refused(url: str) -> None:
    # Also by an operator who allows everything.
    assert refused(AddressRules.parse(("0.0.0.0/0", "::/0")), url, PUBLIC)


@pytest.mark.parametrize("address", [PUBLIC, "1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"])
def test_public_addresses_are_fine_with_tls_only(address: str) -> None:
    assert not is_private(ipaddress.ip_address(address))
    assert not refused(AddressRules(), "https://hooks.example.com/x?y=z", address)
    assert refused(AddressRules(), "http://hooks.example.com/", address)
    assert refused(AddressRules.parse(("10.0.0.0/8", "other.example.com")), "http://hooks.example.com/", address)


def test_named_hosts_and_networks_need_no_tls() -> None:
    rules = AddressRules.parse(("10.1.0.0/16", "fd00::/8", "Hooks.internal."))
    assert not refused(rules, "http://chat.example/", "10.1.2.3")
    assert not refused(rules, "http://chat.example/", "::ffff:10.1.2.3")
    assert not refused(rules, "http://chat.example/", "fd00::1")
    assert not refused(rules, "http://HOOKS.internal/", "192.168.0.1")
    assert refused(rules, "http://chat.example/", "10.2.0.1")
    assert refused(rules, "http://chat.example/", "10.1.2.3", "10.2.0.1")
    assert refused(rules, "http://evil-hooks.internal/", "192.168.0.1")
    assert refused(rules, "https://hooks.internal.evil.example/", "192.168.0.1")


@pytest.mark.parametrize("name", ["10.0.0.1/8", "10.0.0", "10.0.0.0/33", "a b", "https://host", "[::1]", "*.internal"])
def test_exceptions_that_are_none(name: str) -> None:
    with pytest.raises(ValueError, match="^" + name.replace("[", r"\[").replace("*", r"\*")):
        AddressRules.parse(("10.0.0.0/8", name))


def test_a_url_is_taken_apart() -> None:
    assert parse_endpoint("https://Hooks.example.com") == Endpoint("https", "hooks.example.com", 443, "/")
    assert parse_endpoint("http://[2606:4700::1111]:8080/a/b?c=d&e") == Endpoint(
        "http", "2606:4700::1111", 8080, "/a/b?c=d&e"
    )
    assert parse_endpoint("https://h:8443//x").authority == "h:8443"
    assert parse_endpoint("https://h:443/").authority == "h"
    assert parse_endpoint("https://[2606:4700::1111]:444/").authority == "[2606:4700::1111]:444"
