"""Whose time a request's is, through the stack and by the service alone; and the picture."""

from pathlib import Path

import pytest
from point_local.look.cost import (
    ALONE,
    CLIENT,
    COPIES,
    PLACES,
    REST,
    WRITER,
    Bar,
    beyond,
    draw,
    of_a_request,
    whole,
)
from point_local.look.cpu import KERNEL, OTHER, Used

USED = {
    CLIENT: Used(9, 9),
    OTHER: Used(70, 7),
    "Envoy, edge": Used(1, 1),
    "service": Used(4, 0),
    "MySQL a": Used(0.5, 0.5),
    "MySQL b": Used(0.25, 0),
    "MySQL c": Used(0.5, 0.25),
    "etcd": Used(1, 0),
    "kubelet": Used(0, 2),
    KERNEL: Used(0, 0.5),
    f"{ALONE}service": Used(3, 0),
    f"{ALONE}{WRITER}": Used(1, 0.5),
    f"{ALONE}Redis": Used(0.25, 0),
}


def test_a_request_through_the_stack_is_everything_but_client_and_strangers() -> None:
    places = of_a_request(USED, 1000, "c")
    assert list(places) == list(PLACES)
    assert places["Envoy, edge"] == Used(1, 1)
    assert places[WRITER] == Used(0.5, 0.25)
    assert places[COPIES] == Used(0.75, 0.5)
    assert places[REST] == Used(1, 2)
    assert places["Redis"] == Used()
    assert whole(places) == Used(7.25, 4.25)


def test_a_request_to_the_service_alone_is_its_own_servers_and_the_kernel() -> None:
    places = of_a_request(USED, 500, None)
    assert places == {"service": Used(6, 0), WRITER: Used(2, 1), "Redis": Used(0.5, 0), KERNEL: Used(0, 1)}


def test_what_an_idle_stack_uses_is_no_request_s() -> None:
    used = {"etcd": Used(3, 1), "kubelet": Used(1, 1), "service": Used(2, 0)}
    idle = {"etcd": Used(0.1, 0.05), "kubelet": Used(0.2, 0.01), "Redis": Used(1, 1)}
    assert beyond(used, idle, 10) == {
        "etcd": Used(2, 0.5),
        "kubelet": Used(0, 0.9),  # less than none is none
        "service": Used(2, 0),
    }


@pytest.mark.parametrize("writer", ["a", None])
def test_where_nothing_was_done_nothing_is_divided_by(writer: str | None) -> None:
    assert whole(of_a_request({}, 0, writer)) == Used()


def test_the_picture_is_one(tmp_path: Path) -> None:
    places = {name: one.seconds for name, one in of_a_request(USED, 1000, "a").items()}
    file = tmp_path / "a" / "picture.png"
    draw("title", "under it", [Bar("a use", places), Bar("nothing", {})], file)
    assert file.read_bytes().startswith(b"\x89PNG")
    assert file.stat().st_size > 10_000
