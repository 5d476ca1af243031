"""Experiment 118: the async client never has its event loop wait."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from blockbuster import BlockingError, blockbuster_ctx

from cabinet_sdk import AsyncCabinet, BearerToken, Cabinet, RetryPolicy, SqliteJournal
from cabinet_sdk.charges import ExportFormat, ItemToPay, PaymentMethod
from cabinet_sdk.errors import UsageError
from cabinet_sdk.types import Money
from reference_server import Profile, World
from reference_server.testing import credentials, serve
from tests.core.scripted import BASE_URL, READ, AsyncScripted, Script, thing

pytestmark = pytest.mark.feature("EX-01")


def watched() -> AbstractContextManager[object]:
    """Have each function that waits for a disk, a lock or the network fail where the library calls it in a loop."""
    return blockbuster_ctx(scanned_modules=["cabinet_sdk"])


async def test_what_blocks_is_seen(world: World, person: Profile) -> None:
    """The watch sees a client that has the loop wait: the sync one."""
    with serve(world) as url, Cabinet(url, credentials(world, person)) as cabinet:
        list(cabinet.charges.list())
        with watched(), pytest.raises(BlockingError):
            list(cabinet.charges.list())


async def test_no_call_blocks_the_loop(world: World, person: Profile, tmp_path: Path) -> None:
    """Signing in, reading, paging, paying with a journal, resuming and saving a file never have the loop wait."""
    charges = [world.charges.add(person, Money("10.00")) for _ in range(5)]
    journal = SqliteJournal(tmp_path / "journal.db")
    with serve(world) as url:
        cabinet = AsyncCabinet(url, credentials(world, person), journal=journal, retry=RetryPolicy(first_delay=0))
        world.faults.lose_answer("charges.pay_several")
        with watched():
            assert len([each async for each in cabinet.with_options(page_size=2).charges.list()]) == 5
            payment = await cabinet.charges.pay(charges[0].id, method=PaymentMethod.SBP)
            items = (ItemToPay(charges[1].id), ItemToPay(charges[2].id))
            await cabinet.charges.pay_several(items, method=PaymentMethod.SBP)
            assert [each async for each in cabinet.resume()] == []
            async with await cabinet.charges.payment_document(payment.id) as file:
                await file.save(tmp_path)
            async with await cabinet.charges.export(ExportFormat.CSV) as file:
                assert await file.read()
            await cabinet.close()
    journal.close()


def test_another_event_loop_is_refused() -> None:
    """With trio a call would end half-way: nothing is begun, and the error says what is needed."""
    script = Script(thing())
    call = AsyncCabinet(BASE_URL, BearerToken("t"), transport=AsyncScripted(script)).answer(READ).__await__()
    with pytest.raises(UsageError, match="needs the event loop of asyncio"):
        next(call)

    assert script.requests == []
