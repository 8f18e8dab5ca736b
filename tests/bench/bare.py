"""The same statements as a use, from loops over bare connections: what the database and the driver can do.

Run as a process of its own: `bare.py PREFIX MEMBERS CONNECTIONS SECONDS RUN`, with the service's variables.
"""

import asyncio
import json
import random
import resource
import sys
import time

from asyncmy.connection import Connection
from point_service.contract.idempotency import Key, StoredAnswer
from point_service.domain.entries import Entry, EntryKind
from point_service.domain.snapshot import Reads
from point_service.mysql.pool import opener
from point_service.mysql.store.change import Change, commit
from point_service.mysql.store.member import lock_members
from point_service.mysql.store.questions import Wanted
from point_service.settings import load

BODY = '{"order_id":"bare-0000000000","amount":1,"allocations":[{"grant_id":100000,"amount":1}],"balance":1000000}'


async def use(connection: Connection, member: str, name: str) -> None:
    """Use one point: both round trips, nothing decided."""
    key = Key(f"member:{member}", member, name, "0" * 64)
    wanted = Wanted(member, key, Reads(points=1, used_order=name))
    snapshot = (await lock_members(connection, [wanted], wait=True)).snapshots[member]
    grant = snapshot.grants[0].grant_id
    entry = Entry(grant_id=grant, kind=EntryKind.USE, amount=-1, order_id=name)
    await commit(connection, [Change(snapshot, [entry], (), (key, StoredAnswer("0" * 64, 201, BODY)))])


async def main(prefix: str, members: int, connections: int, seconds: float, run: str) -> None:
    """Use points over `connections` for `seconds` and print how many, in what time."""
    settings = load().database
    open_connection = opener(settings, settings.host)
    raws = [await open_connection() for _ in range(connections)]
    started = time.perf_counter()
    counts = [0] * connections

    async def loop(number: int) -> None:
        while time.perf_counter() - started < seconds:
            member = f"{prefix}-{random.randint(1, members)}"
            await use(raws[number], member, f"{run}-{number}-{counts[number]}")
            counts[number] += 1

    await asyncio.gather(*(loop(number) for number in range(connections)))
    took = time.perf_counter() - started
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({"requests": sum(counts), "seconds": took, "cpu": used.ru_utime + used.ru_stime}))
    for raw in raws:
        await raw.ensure_closed()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), sys.argv[5]))
