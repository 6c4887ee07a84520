"""Python loads this by itself when the folder is on PYTHONPATH: *.localhost is this machine (RFC 6761, 6.3), as browsers and curl have it."""

import socket

_getaddrinfo = socket.getaddrinfo


def _with_local_names(host, *args, **kwargs):
    name = host.decode() if isinstance(host, bytes) else host
    is_local = isinstance(name, str) and name.rstrip(".").lower().endswith(".localhost")
    return _getaddrinfo("127.0.0.1" if is_local else host, *args, **kwargs)


socket.getaddrinfo = _with_local_names
