"""A CA file that is replaced while the service runs, as Kubernetes does it: by moving a link."""

import asyncio

import msgspec
import pytest
from asyncmy.errors import OperationalError
from point_local.machine.pki import Authority
from point_service.authorities import Authorities
from point_service.mysql.pool import opener
from point_service.turns.cache import Cache, CacheAwayError, Script


@pytest.fixture
def mounted(tmp_path):
    """A file behind links, and what lets it lead to another."""
    (tmp_path / "..data").symlink_to(tmp_path / "nothing")
    (tmp_path / "ca.crt").symlink_to("..data/ca.crt")

    def replace(content):
        folder = tmp_path / f"..{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        (folder / "ca.crt").write_text(content)
        (tmp_path / "new").symlink_to(folder.name)
        (tmp_path / "new").replace(tmp_path / "..data")
        return tmp_path / "ca.crt"

    return replace


@pytest.fixture
def other(tmp_path):
    """An authority that signed nothing."""
    return Authority("another authority", tmp_path / "other.crt", tmp_path / "other.key").pem


def test_a_context_is_made_once_for_a_file_and_again_for_the_next(mounted, other):
    authorities = Authorities(mounted(other))
    first = authorities.context()
    assert authorities.context() is first
    mounted(other)
    assert authorities.context() is not first


def test_a_file_that_can_not_be_used_leaves_the_one_before_in_use(mounted, other):
    file = mounted(other)
    authorities = Authorities(file)
    first = authorities.context()
    mounted("half a certif")
    assert authorities.context() is first
    file.unlink()
    assert authorities.context() is first


@pytest.mark.integration
async def test_the_database_is_reached_once_the_file_has_its_authority(settings, master, mounted, other):
    del master
    usual = settings.database.ca_file.read_text()
    connect = opener(msgspec.structs.replace(settings.database, ca_file=mounted(other)), "127.0.0.1")
    with pytest.raises(OperationalError, match="CERTIFICATE_VERIFY_FAILED"):
        await connect()
    mounted(usual)
    (await connect()).close()


@pytest.mark.integration
@pytest.mark.parametrize("database_server", ["mysql"], indirect=True)
async def test_redis_is_reached_once_the_file_has_its_authority(settings, mounted, other):
    usual = settings.cache.ca_file.read_text()
    one = Script("return 1")
    cache = Cache(msgspec.structs.replace(settings.cache, ca_file=mounted(other), timeout=3.0))
    try:
        with pytest.raises(CacheAwayError):
            await cache.run("test", one, ["key"], [])
        mounted(usual)
        answer = None
        async with asyncio.timeout(20):
            while answer is None:
                try:
                    answer = await cache.run("test", one, ["key"], [])
                except CacheAwayError:
                    await asyncio.sleep(0.1)
        assert answer == 1
    finally:
        await cache.close()
