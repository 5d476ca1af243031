"""
A program that pays and is killed on the way, and the same program when it comes up again. Started by `test_crashes`.

It reads what to do as JSON and starts a process of its own for each payment: nothing survives in memory.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict, final

from cabinet_sdk import Cabinet, ClientCredentials, Journal, RetryPolicy, SqliteJournal
from cabinet_sdk.charges import ChargeId, PaymentMethod
from cabinet_sdk.errors import OutcomeUnknown
from cabinet_sdk.transports import HttpxTransport, Request, Response
from cabinet_sdk.types import Money

AMOUNT = Money("100.00")


class Job(TypedDict):
    """
    What to do.

    `point` is where to die: a number of a boundary, or seconds. Without one nobody dies. `encrypted` puts the journal
    under a key.
    """

    url: str
    client_id: str
    client_secret: str
    folder: str
    journal: str
    charge: str
    key: str | None
    point: float | None
    resume: bool
    encrypted: bool


@final
class Mortal:
    """Kills this process at the boundary of that number: before and after each exchange and act of the journal."""

    def __init__(self, point: float | None) -> None:
        self._left = point
        if point is not None and point < 1:
            threading.Thread(target=self._die_later, args=(point,), daemon=True).start()

    def _die_later(self, seconds: float) -> None:
        time.sleep(seconds)
        os.kill(os.getpid(), signal.SIGKILL)

    def pass_point(self) -> None:
        """Die here, if this is the place."""
        if self._left is not None and self._left >= 1:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def around(self, act: Callable[..., Any]) -> Callable[..., Any]:
        """Return the same with a boundary before and after it."""

        def mortal(*args: Any) -> Any:  # Any: whatever it takes and gives
            self.pass_point()
            try:
                return act(*args)
            finally:
                self.pass_point()

        return mortal


@final
class MortalTransport:
    """Sends over HTTP, with a boundary before and after each exchange."""

    def __init__(self, inner: HttpxTransport, mortal: Mortal) -> None:
        self._send = mortal.around(inner.send)
        self.sleep, self.now, self.close = inner.sleep, inner.now, inner.close

    def send(self, request: Request) -> Response:
        """Send."""
        response: Response = self._send(request)
        return response


@final
class MortalJournal:
    """A journal with a boundary before and after each act."""

    def __init__(self, inner: Journal, mortal: Mortal) -> None:
        self._inner, self._mortal = inner, mortal

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return self._mortal.around(getattr(self._inner, name))


def live(job: Job) -> dict[str, object]:
    """Pay, or resume what is open and pay what the program's own key tells it to."""
    mortal = Mortal(job["point"])
    key = bytes(range(32)) if job["encrypted"] else None
    inner = SqliteJournal(Path(job["folder"]) / f"{job['journal']}.db", key=key)
    journal: Any = MortalJournal(inner, mortal)  # Any: it answers to every name
    credentials = ClientCredentials(job["client_id"], job["client_secret"])
    transport = MortalTransport(HttpxTransport(), mortal)
    retry = RetryPolicy(first_delay=0)
    outcomes: list[str] = []
    with Cabinet(job["url"], credentials, transport=transport, journal=journal, retry=retry) as cabinet:
        if job["resume"]:
            for one in cabinet.resume():
                assert one.error is None, one.error
                outcomes.append(one.operation_id)
        view = cabinet if job["key"] is None else cabinet.with_options(idempotency_key=job["key"])
        if not job["resume"] or job["key"] is not None:
            try:
                view.charges.pay(ChargeId(job["charge"]), method=PaymentMethod.BANK_CARD, amount=AMOUNT)
            except OutcomeUnknown:
                outcomes.append("unknown")
    left = len(inner.open_entries())
    inner.close()
    return {"outcomes": outcomes, "left": left}


def in_a_process(job: Job) -> dict[str, object]:
    """Live in a process of its own; tell how it ended."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.write(writing, json.dumps(live(job)).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    status = os.waitpid(child, 0)[1]
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    return {"killed": killed, "failed": not killed and status != 0, **(json.loads(said) if said else {})}


if __name__ == "__main__":
    # What all processes need is loaded once, so that each takes milliseconds.
    Cabinet("http://cabinet.example", transport=HttpxTransport()).charges.list()
    sys.stdout.write(json.dumps([in_a_process(job) for job in json.load(sys.stdin)]))
