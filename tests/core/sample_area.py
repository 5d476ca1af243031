"""A made-up area whose rows move files, and worlds that answer it: what the machinery promises to areas to come."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NewType, TypeVar, final

import attrs

from cabinet_sdk import AsyncCabinet
from cabinet_sdk._core.area import Area, Async, Endpoint, Sync
from cabinet_sdk._core.operation import Call, Download, Permission, Upload
from cabinet_sdk.charges import ChargeNotFound
from cabinet_sdk.contract import CONTRACT, Contract
from cabinet_sdk.errors import NotFound
from cabinet_sdk.types import File, Money, Period
from reference_server import Profile, World, routing
from reference_server.faults import Faults
from reference_server.files import StoredFile
from reference_server.routing import Router, handles
from reference_server.session import Session
from tests.faces import with_async_area

USE_SAMPLES = Permission("samples.use", "Образцы")
MAX_BYTES = 1024 * 1024

SampleId = NewType("SampleId", str)
ModeT = TypeVar("ModeT", Sync, Async)


@final
@attrs.frozen(kw_only=True)
class Sample:
    """What is known of a sample."""

    id: SampleId
    name: str
    media_type: str
    length: int
    sha256: str
    note: str | None
    total: Money | None
    pages: int | None
    tags: list[str]
    period: Period | None


@final
@attrs.frozen
class Origin:
    """Where a sample is from."""

    city: str
    year: int | None = None


@final
@attrs.frozen
class GetContent:
    """Fetch the content of a sample."""

    sample_id: SampleId


@final
@attrs.frozen
class GetSample:
    """Read a sample."""

    sample_id: SampleId


@final
@attrs.frozen
class UploadSample:
    """Upload a sample."""

    file: File
    note: str | None = attrs.field(default=None, kw_only=True)
    total: Money | None = attrs.field(default=None, kw_only=True)
    pages: int | None = attrs.field(default=None, kw_only=True)
    final: bool | None = attrs.field(default=None, kw_only=True)
    tags: tuple[str, ...] | None = attrs.field(default=None, kw_only=True)
    period: Period | None = attrs.field(default=None, kw_only=True)
    origin: Origin | None = attrs.field(default=None, kw_only=True)


@final
@attrs.frozen
class UploadLarge:
    """Upload a sample that may be large."""

    file: File


GET_CONTENT = Download(
    "samples.download",
    "GET",
    "/samples/{sample_id}/content",
    GetContent,
    permission=USE_SAMPLES,
    errors=(ChargeNotFound,),
)
GET_SAMPLE = Call("samples.get", "GET", "/samples/{sample_id}", GetSample, Sample, permission=USE_SAMPLES)
UPLOAD = Upload(
    "samples.upload",
    "POST",
    "/samples",
    UploadSample,
    Sample,
    permission=USE_SAMPLES,
    created=GET_SAMPLE,
    max_bytes=MAX_BYTES,
)
UPLOAD_LARGE = Upload(
    "samples.upload_large",
    "POST",
    "/large-samples",
    UploadLarge,
    Sample,
    permission=USE_SAMPLES,
    max_bytes=1024**3,
)

ROWS = (GET_CONTENT, GET_SAMPLE, UPLOAD, UPLOAD_LARGE)


class _Samples(Area[ModeT]):
    download = Endpoint(GET_CONTENT)
    get = Endpoint(GET_SAMPLE)
    upload = Endpoint(UPLOAD)
    upload_large = Endpoint(UPLOAD_LARGE)


@final
class Samples(_Samples[Sync]):
    """Samples."""


@final
class AsyncSamples(_Samples[Async]):
    """Samples, async."""


# What stands for an area's store: files by id, of all worlds of a test run, and what was uploaded last.
FILES: dict[str, StoredFile] = {}
UPLOADED: list[UploadSample | UploadLarge] = []


def add_file(
    content: bytes | Path | Callable[[], bytes], name: str = "file.bin", media_type: str = "application/octet-stream"
) -> SampleId:
    """Store a file to be downloaded."""
    sample_id = SampleId(f"smp_{len(FILES)}")
    FILES[sample_id] = StoredFile(content=content, name=name, media_type=media_type)
    return sample_id


@handles(GET_CONTENT)
def get_content(_: Session, request: GetContent) -> StoredFile:
    """Answer with what was stored."""
    stored = FILES.get(request.sample_id)
    if stored is None:
        raise ChargeNotFound
    return stored


@handles(GET_SAMPLE)
def get_sample(_: Session, request: GetSample) -> Sample:
    """Not needed by any test but to have an address."""
    raise NotFound(members={"id": request.sample_id})


@handles(UPLOAD)
def upload(session: Session, request: UploadSample) -> Sample:
    """Say what came."""
    UPLOADED.append(request)
    return Sample(
        id=SampleId(session.work.ids.new("smp")),
        name=request.file.name,
        media_type=request.file.media_type,
        length=request.file.length or 0,
        sha256=request.file.sha256().hex(),
        note=request.note,
        total=request.total,
        pages=request.pages,
        tags=list(request.tags or ()),
        period=request.period,
    )


@handles(UPLOAD_LARGE)
def upload_large(session: Session, request: UploadLarge) -> Sample:
    """Say what came."""
    return upload(session, UploadSample(request.file))


# Not left among the real ones: tests of the house compare those with the contract.
HANDLERS = {row.id: vars(routing)["_HANDLERS"].pop(row.id) for row in ROWS}


def sample_world(world: World) -> Profile:
    """Give a world the sample area, and somebody who may use it."""
    contract = Contract((*CONTRACT, *ROWS))
    world.router = Router(contract, HANDLERS)
    world.faults = Faults(contract, world.clock.now)
    return world.profiles.add("Иванова Мария Петровна", permissions=frozenset({USE_SAMPLES.code}))


def samples_of(client: AsyncCabinet) -> AsyncSamples:
    """Return the sample area of a client of either mode."""
    return with_async_area(client, Samples, AsyncSamples)
