"""Large files up and down, over a socket of this machine, by the made-up area of the tests whose rows move files."""

from __future__ import annotations

import hashlib
import os
import resource
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from benchmarks.harness import Figure, Spread, compare, cpu_of, row, settings
from benchmarks.servers import GIGABYTE, Served, served
from cabinet_sdk import BearerToken, Cabinet
from cabinet_sdk.types import File
from tests.core.sample_area import SampleId, Samples

__all__: list[str] = []

_MEGABYTE = 1024**2


def _samples(beside: Served) -> Samples:
    cabinet = Cabinet(f"http://127.0.0.1:{beside.port}/v1", BearerToken("token"), deadline=None)
    return Samples(vars(cabinet)["_context"])


def _inverse(spread: Spread) -> Spread:
    return Spread(1 / spread.median, 1 / spread.high, 1 / spread.low)


def _download(samples: Samples, length: int) -> None:
    received = 0
    with samples.download(SampleId(str(length))) as stream:
        for chunk in stream:
            received += len(chunk)
    assert received == length


@row(
    "download",
    "Streamed download: speed by CPU time, over bare httpx that checks a SHA-256 too",
    goal=0.9,
    at_least=True,
)
def download() -> Figure:
    """Download a file and look at every part of it."""
    length = 64 * _MEGABYTE
    with served("files") as files, httpx.Client() as client:
        url = f"http://127.0.0.1:{files.port}/v1/samples/{length}/content"
        samples = _samples(files)

        def checked() -> None:
            digest = hashlib.sha256()
            with client.stream("GET", url) as response:
                for chunk in response.iter_raw():
                    digest.update(chunk)
            assert digest.digest()

        def unchecked() -> None:
            with client.stream("GET", url) as response:
                assert sum(len(chunk) for chunk in response.iter_raw()) == length

        ratio, cost = compare(lambda: _download(samples, length), checked)
        plain, _ = compare(lambda: _download(samples, length), unchecked)
    detail = f"{cost / 64 / 1000:.2f} ms a megabyte; {_inverse(plain)} over bare httpx that checks nothing."
    return Figure(_inverse(ratio), detail)


def _bare_upload(client: httpx.Client, url: str, path: Path, *, checked: bool) -> None:
    headers: dict[str, str] = {}
    with path.open("rb") as file:
        if checked:
            headers["content-digest"] = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
        client.post(url, files={"file": (path.name, file)}, headers=headers)


@row("upload", "Streamed upload: speed by CPU time, over bare httpx that sends a SHA-256 too", goal=0.9, at_least=True)
def upload() -> Figure:
    """Upload a file, with the digest by which the service knows that it came whole."""
    length = 64 * _MEGABYTE
    with served("files") as files, httpx.Client() as client, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file.bin"
        path.write_bytes(os.urandom(length))
        url = f"http://127.0.0.1:{files.port}/v1/large-samples"
        samples = _samples(files)
        ratio, cost = compare(
            lambda: samples.upload_large(File(path, name=path.name)),
            lambda: _bare_upload(client, url, path, checked=True),
        )
        plain, _ = compare(
            lambda: samples.upload_large(File(path, name=path.name)),
            lambda: _bare_upload(client, url, path, checked=False),
        )
    detail = f"{cost / 64 / 1000:.2f} ms a megabyte; {_inverse(plain)} over bare httpx that sends no digest."
    return Figure(_inverse(ratio), detail)


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _grown_by(small: Callable[[], Any], large: Callable[[], Any]) -> Figure:  # Any: what a call gives
    small()
    before = _peak()
    cost = cpu_of(large)
    grown = _peak() - before
    return Figure(Spread.of([grown]), f"{cost:.1f} s of CPU time, at most {_peak():.0f} MB of the process in all.")


def _large() -> int:
    return GIGABYTE // 8 if settings.quick else GIGABYTE


@row("download-memory", "Extra memory of a download of 1 GB", goal=32, unit="MB")
def download_memory() -> Figure:
    """Download a small file, then a large one."""
    with served("files") as files:
        samples = _samples(files)
        return _grown_by(lambda: _download(samples, _MEGABYTE), lambda: _download(samples, _large()))


@row("upload-memory", "Extra memory of an upload of 1 GB", goal=32, unit="MB")
def upload_memory() -> Figure:
    """Upload a small file, then a large one."""
    with served("files") as files, tempfile.TemporaryDirectory() as folder:
        samples = _samples(files)
        small, large = Path(folder) / "small.bin", Path(folder) / "large.bin"
        small.write_bytes(bytes(_MEGABYTE))
        with large.open("wb") as file:
            file.truncate(_large())
        return _grown_by(
            lambda: samples.upload_large(File(small, name="small.bin")),
            lambda: samples.upload_large(File(large, name="large.bin")),
        )
