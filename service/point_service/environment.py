"""Typed access to the environment's variables, each error naming its variable."""

import re
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

T = TypeVar("T")

SHORTEST_KEY = 16  # bytes


class SettingError(Exception):
    """A variable that can't be used: one line that names it, what it was and what is allowed."""


class Credentials(msgspec.Struct, frozen=True):
    """Where a user name and password lie: the files `username` and `password` of one folder."""

    directory: Path

    def username(self) -> str | None:
        """Return the user name, or None when the folder holds none. Raises SettingError when unreadable."""
        return self._read("username") if (self.directory / "username").exists() else None

    def password(self) -> str:
        """Return the password. Raises SettingError when there is none."""
        return self._read("password")

    def _read(self, name: str) -> str:
        path = self.directory / name
        try:
            return path.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingError(f"{path}: can't be read ({type(error).__name__})") from error


class Environment:
    """Typed access to the variables, each error naming its variable."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self.in_force: dict[str, str] = {}

    def text(self, name: str, default: str | None = None) -> str:
        value = self._values.get(name, "").strip() or default
        if value is None:
            raise SettingError(f"{name}: not set; it must be")
        self.in_force[name] = value
        return value

    def optional(self, name: str) -> str | None:
        value = self.in_force[name] = self._values.get(name, "").strip()
        return value or None

    def matching(self, name: str, pattern: re.Pattern[str], allowed: str, default: str | None = None) -> str:
        value = self.text(name, default)
        if not pattern.fullmatch(value):
            raise SettingError(f"{name}: {value!r} is not {allowed}")
        return value

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        return self._number(name, default, low, high, int, "a whole number")

    def seconds(self, name: str, default: float, low: float, high: float) -> float:
        return self._number(name, default, low, high, float, "a number of seconds")

    def flag(self, name: str, default: bool) -> bool:
        value = self.text(name, str(default)).lower()
        if value not in ("true", "false"):
            raise SettingError(f"{name}: {value!r} is not one of true, false")
        return value == "true"

    def one_of(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        value = self.text(name, default).upper()
        if value not in allowed:
            raise SettingError(f"{name}: {value!r} is not one of {', '.join(allowed)}")
        return value

    def authorities(self, name: str) -> Path | None:
        value = self.optional(name)
        if value is None:
            return None
        if not Path(value).is_file():
            raise SettingError(f"{name}: {value!r} is not a file")
        try:
            ssl.create_default_context(cafile=value)
        except OSError:  # ssl.SSLError is one
            raise SettingError(f"{name}: {value!r} is not a file of certificates in PEM") from None
        return Path(value)

    def key(self, name: str) -> Path | None:
        value = self.optional(name)
        if value is None:
            return None
        try:
            long_enough = len(Path(value).read_bytes().strip()) >= SHORTEST_KEY
        except OSError as error:
            raise SettingError(f"{name}: {value!r} can't be read ({type(error).__name__})") from error
        if not long_enough:
            raise SettingError(f"{name}: {value!r} holds fewer than {SHORTEST_KEY} bytes")
        return Path(value)

    def credentials(self, name: str) -> Credentials | None:
        value = self.optional(name)
        if value is None:
            return None
        if not (Path(value) / "password").is_file():
            raise SettingError(f"{name}: {value!r} is not a folder with a file named password")
        return Credentials(Path(value))

    def _number(self, name: str, default: T, low: T, high: T, parse: Callable[[str], T], what: str) -> T:
        value = self.text(name, str(default))
        try:
            number = parse(value)
        except ValueError:
            number = None
        if number is None or not low <= number <= high:  # type: ignore[operator]
            raise SettingError(f"{name}: {value!r} is not {what} from {low} to {high}")
        return number
