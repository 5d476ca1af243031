"""What tests of files share: bytes, folders, and a wire that breaks off or changes what comes."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from pathlib import Path

import attrs

from cabinet_sdk import RetryPolicy
from cabinet_sdk.transports import AsyncTransport, Headers, Request, Response, Transport
from reference_server import Profile
from tests.conftest import Connect
from tests.core.sample_area import AsyncSamples, samples_of
from tests.faults.network import Cut

Change = Callable[[Request, Response], Response]


class Wire:
    """Stands between client and service and cuts or changes what comes; one for both modes."""

    def __init__(self, *cuts: int, change: Change | None = None) -> None:
        self.cuts = list(cuts)
        self.change = change
        self.requests: list[Request] = []

    def answer(self, request: Request, response: Response) -> Response:
        """Return what the client gets."""
        if request.url.endswith("/oauth/token"):
            return response
        self.requests.append(request)
        if self.change is not None:
            response = self.change(request, response)
        if response.stream is not None and self.cuts:
            cut = Cut(response.stream, self.cuts.pop(0))
            return attrs.evolve(response, stream=cut)
        return response

    def sync(self, inner: Transport) -> Transport:
        """Wrap a transport."""
        return _Between(inner, self)

    def asynchronous(self, inner: AsyncTransport) -> AsyncTransport:
        """Wrap a transport."""
        return _AsyncBetween(inner, self)


class _Between:
    def __init__(self, inner: Transport, wire: Wire) -> None:
        self._inner, self._wire = inner, wire
        self.sleep, self.now, self.close = inner.sleep, inner.now, inner.close

    def send(self, request: Request) -> Response:
        return self._wire.answer(request, self._inner.send(request))


class _AsyncBetween:
    def __init__(self, inner: AsyncTransport, wire: Wire) -> None:
        self._inner, self._wire = inner, wire
        self.sleep, self.now, self.aclose = inner.sleep, inner.now, inner.aclose

    async def send(self, request: Request) -> Response:
        return self._wire.answer(request, await self._inner.send(request))


class Rangeless(_Between):
    """A service that knows no ranges."""

    def __init__(self, inner: Transport) -> None:
        super().__init__(inner, Wire())

    def send(self, request: Request) -> Response:
        return self._inner.send(_without_range(request))


class AsyncRangeless(_AsyncBetween):
    """The same for `AsyncCabinet`."""

    def __init__(self, inner: AsyncTransport) -> None:
        super().__init__(inner, Wire())

    async def send(self, request: Request) -> Response:
        return await self._inner.send(_without_range(request))


def _without_range(request: Request) -> Request:
    kept = Headers(pair for pair in request.headers.pairs() if pair[0] != "range")
    return attrs.evolve(request, headers=kept)


def noise(seed: int, length: int) -> bytes:
    """Return bytes that no two places of have in common."""
    return random.Random(seed).randbytes(length)  # noqa: S311  # to be the same in each run


def write_blocks(path: Path, update: Callable[[bytes], None]) -> None:
    """Write 20 MB and tell of each block."""
    with path.open("wb") as out:
        for number in range(80):
            block = noise(number, 256 * 1024)
            update(block)
            out.write(block)


def digest_of(path: Path) -> bytes:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def contents_of(folder: Path) -> dict[str, int | None]:
    """Return the names in a folder and the sizes of the files."""
    return {each.name: each.stat().st_size if each.is_file() else None for each in folder.iterdir()}


def through(connect: Connect, person: Profile, wire: Wire, attempts: int = 4) -> AsyncSamples:
    """Return the sample area of a client whose bytes pass a wire."""
    retry = RetryPolicy(attempts=attempts)
    return samples_of(connect(person, retry=retry, wrap=wire.sync, wrap_async=wire.asynchronous))
