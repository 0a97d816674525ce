"""offline=true: nothing leaves the machine, and the error says who was asked for."""
import asyncio
import os
import socket
import urllib.request

import pytest

from mammi import offline
from mammi.download import download
from mammi.errors import MissingAsset
from mammi.text_encoder import SentenceEncoder

# Addresses set aside for documentation (RFC 5737, RFC 3849): a test that failed to stop them would reach nobody.
THERE, THERE_6 = "192.0.2.1", "2001:db8::1"


@pytest.fixture
def off(monkeypatch):
    for key in offline.TOLD:
        monkeypatch.setenv(key, "")
    monkeypatch.setattr(offline, "_offline", False)
    offline.go_offline()


def datagram(host, family=socket.AF_INET):
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"", (host, 9))


def message(host):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendmsg([b""], [], 0, (host, 9))


ATTEMPTS = {
    "connection": lambda: socket.create_connection((THERE, 443), timeout=1),
    "quiet connection": lambda: socket.socket().connect_ex((THERE, 443)),
    "connection of six": lambda: socket.socket(socket.AF_INET6).connect((THERE_6, 443)),
    "datagram": lambda: datagram(THERE),
    "message": lambda: message(THERE),
    "look-up": lambda: socket.getaddrinfo("host.invalid", 443),
    "look-up in bytes": lambda: socket.getaddrinfo(b"host.invalid", 443),
    "old look-up": lambda: socket.gethostbyname("host.invalid"),
    "look-up backwards": lambda: socket.gethostbyaddr(THERE),
    "name of an address": lambda: socket.getnameinfo((THERE, 80), 0),
    "urllib": lambda: urllib.request.urlopen("http://host.invalid/", timeout=1),
    "a loop": lambda: asyncio.run(asyncio.open_connection(THERE, 443)),
    "a method kept from before": lambda: CONNECT(socket.socket(), (THERE, 443)),
}
CONNECT = socket.socket.connect


@pytest.mark.fault
@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_an_attempt_names_host_and_option(off, attempt):
    with pytest.raises(MissingAsset, match="offline=true.*offline=false") as error:
        ATTEMPTS[attempt]()
    assert any(host in str(error.value) for host in (THERE, THERE_6, "host.invalid"))


def test_the_port_is_named(off):
    with pytest.raises(MissingAsset, match=r"192\.0\.2\.1:443"):
        ATTEMPTS["connection"]()


@pytest.mark.fault
def test_our_download_refuses_before_it_opens_anything(off, tmp_path, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("a name was looked up"))
    with pytest.raises(MissingAsset, match=r"offline=true.*host\.invalid:8080.*http://host\.invalid:8080/file"):
        download("http://host.invalid:8080/file", tmp_path / "file")
    assert not list(tmp_path.iterdir())


def test_this_machine_stays_in_reach(off, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        for host in ("127.0.0.1", "localhost"):
            socket.create_connection((host, server.getsockname()[1]), timeout=5).close()
    here, there = socket.socketpair()
    here.close(), there.close()
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(str(tmp_path / "s"))
        server.listen()
        client.connect(str(tmp_path / "s"))
    (tmp_path / "there").write_text("x")
    assert download((tmp_path / "there").as_uri(), tmp_path / "here").read_text() == "x"


def test_libraries_are_told_and_twice_is_harmless(off):
    assert {key: os.environ[key] for key in offline.TOLD} == offline.TOLD
    offline.go_offline()
    with pytest.raises(MissingAsset):
        ATTEMPTS["look-up"]()


def test_online_nothing_is_stopped(off, monkeypatch):
    monkeypatch.setattr(offline, "_offline", False)
    with pytest.raises(OSError):
        socket.getaddrinfo("host.invalid", 443)


@pytest.mark.fault
def test_a_hub_name_is_refused_with_the_reason(off, tmp_path):
    with pytest.raises(MissingAsset, match="offline=true.*local folder"):
        SentenceEncoder("nobody/nothing").embed(["heart"])
