"""
A transport of one's own: it carries requests with another transport and loses an answer on request.

Three functions and `close` are all a transport is. The async one is the same with `async` and `await`, so what it
decides is written once, in `_Losses`.
"""

from __future__ import annotations

from cabinet_sdk.errors import ConnectionLost
from cabinet_sdk.transports import AsyncTransport, Request, Response, Transport


class _Losses:
    """Which answers to lose."""

    def __init__(self) -> None:
        self.lost = 0
        self._method: str | None = None

    def lose_next_answer_to(self, method: str) -> None:
        """Lose the next answer to a request of this method: the service has done its work, the caller cannot know."""
        self._method = method

    def strike(self, request: Request) -> None:
        """Raise what a broken connection would, if this answer is to be lost."""
        if request.method == self._method and "/oauth/" not in request.url:
            self._method = None
            self.lost += 1
            raise ConnectionLost("The answer was lost on purpose.")


class LosingTransport(_Losses):
    """For `Cabinet`."""

    def __init__(self, inner: Transport) -> None:
        super().__init__()
        self._inner = inner

    def send(self, request: Request) -> Response:
        """Send with the other transport; the answer may be lost on its way back."""
        response = self._inner.send(request)
        self.strike(request)
        return response

    def sleep(self, seconds: float) -> None:
        """Wait as the other one does."""
        self._inner.sleep(seconds)

    def now(self) -> float:
        """Return the other one's time."""
        return self._inner.now()

    def close(self) -> None:
        """Close the other one."""
        self._inner.close()


class AsyncLosingTransport(_Losses):
    """For `AsyncCabinet`."""

    def __init__(self, inner: AsyncTransport) -> None:
        super().__init__()
        self._inner = inner

    async def send(self, request: Request) -> Response:
        """Send with the other transport; the answer may be lost on its way back."""
        response = await self._inner.send(request)
        self.strike(request)
        return response

    async def sleep(self, seconds: float) -> None:
        """Wait as the other one does."""
        await self._inner.sleep(seconds)

    def now(self) -> float:
        """Return the other one's time."""
        return self._inner.now()

    async def aclose(self) -> None:
        """Close the other one."""
        await self._inner.aclose()
