"""Whose certificates are trusted: a file that is replaced while the process runs, as Kubernetes replaces a Secret's."""

import logging
import ssl
from pathlib import Path

log = logging.getLogger(__name__)

Version = tuple[int, ...] | None


def version(file: Path | None) -> Version:
    """Return what tells a file from the one that replaces it; None without a file (the system's roots)."""
    if file is None:
        return None
    try:
        found = file.stat()  # of what the links lead to
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size


def context(file: Path | None) -> ssl.SSLContext:
    """Return a TLS context that verifies the server and its name. Raises OSError, of which ssl.SSLError is one."""
    return ssl.create_default_context(cafile=str(file) if file else None)


class Authorities:
    """The TLS context of a file as it is now. One that can't be read leaves the last one in use."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._version = version(file)
        self._context = context(file)

    def context(self) -> ssl.SSLContext:
        """Return the context, made anew when the file was replaced."""
        found = version(self._file)
        if found != self._version:
            self._version = found
            try:
                self._context = context(self._file)
            except OSError as error:
                log.warning("the new CA file can't be used", extra={"file": self._file, "error": str(error)})
        return self._context
