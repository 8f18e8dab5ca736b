"""Free TCP ports of loopback, for servers that are to start in a moment."""

import errno
import os
import socket
from collections import deque

HOST = "127.0.0.1"

# A port that was found free is free until its server has started, and again while the server is started anew. Programs
# that ask at the same time, as two processes of tests do, could be given the same one, and then one's clients would
# talk with the other's server. So each port that is given away is marked as long as its taker lives, by a name that
# the kernel gives to one process alone and takes back itself. As many as this are marked at a time.
_given: deque[int] = deque(maxlen=1000)


def free_port() -> int:
    """Return a port that nobody listens on, and that no other caller on this machine was given."""
    while True:
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            port = probe.getsockname()[1]
            if _mark(port):
                return port


def _mark(port: int) -> bool:
    """Mark a port as given away; tell whether it was not before."""
    mark = socket.socket(socket.AF_UNIX)
    try:
        mark.bind(f"\0point-platform port {port}")
    except OSError as error:
        mark.close()
        if error.errno != errno.EADDRINUSE:
            raise
        return False
    if len(_given) == _given.maxlen:
        os.close(_given[0])
    _given.append(mark.detach())
    return True
