"""``offline=true``: whatever in this process reaches for the network gets an error that says for what.

It covers this process alone. Jobs that a Hydra launcher starts are processes of their own; ``run.py`` calls
:func:`go_offline` in each. ``make mpnet`` and ``pip`` are commands of their own, which no run starts.
"""
import ipaddress
import os
import socket
import sys
from urllib.parse import urlsplit

from mammi.errors import MissingAsset

# What libraries are told, so that they look into their own folders instead of asking.
TOLD = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "WANDB_MODE": "offline"}
# Python's audit events of connections, datagrams and name look-ups, and where their arguments name the other side.
WATCHED = {"socket.connect": 1, "socket.sendto": 1, "socket.sendmsg": 1,
           "socket.getaddrinfo": 0, "socket.gethostbyname": 0, "socket.gethostbyaddr": 0,
           "socket.getnameinfo": 0}
_offline = _hooked = False


def go_offline():
    """From now on an attempt to reach another machine raises :class:`MissingAsset`; twice is as good as once.

    This machine (loopback, UNIX sockets) stays in reach. An audit hook sees what patched functions would miss:
    sockets made before, and subclasses. Code in C that opens sockets past Python is told (``TOLD``), not stopped.
    """
    global _offline, _hooked
    os.environ.update(TOLD)
    _offline = True
    if not _hooked:  # a hook stays for good
        sys.addaudithook(_audit)
        _hooked = True


def is_offline():
    return _offline


def refuse(url):
    """Raise :class:`MissingAsset` where ``url`` lies on another machine and the run is offline."""
    parts = urlsplit(url)
    if _offline and parts.scheme != "file" and not _here(parts.hostname):
        raise _error(f"{parts.hostname}:{parts.port or parts.scheme}", f" ({url})")


def _audit(event, arguments):
    if not _offline or event not in WATCHED:
        return
    if WATCHED[event] and arguments[0].family not in (socket.AF_INET, socket.AF_INET6):
        return
    asked = arguments[WATCHED[event]]  # (host, port, ...), or a host; None in a message over a connected socket
    host = asked[0] if isinstance(asked, tuple) else asked
    if asked is None or _here(host):
        return
    port = asked[1] if isinstance(asked, tuple) else arguments[1] if event == "socket.getaddrinfo" else None
    raise _error(_text(host) + (f":{_text(port)}" if port else ""))


def _here(host):
    """Whether ``host`` (name, address or None) is this machine by any of its loopback names."""
    host = _text(host or "").partition("%")[0].lower()
    if host in ("", "localhost", "ip6-localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _text(value):
    return value.decode(errors="replace") if isinstance(value, (bytes, bytearray)) else str(value)


def _error(host, what=""):
    return MissingAsset(f"offline=true: something asked for {host}{what}. An offline run fetches nothing. Next: give "
                        "what is missing as a local file or folder (python -m mammi assets says which and where), or "
                        "offline=false")
