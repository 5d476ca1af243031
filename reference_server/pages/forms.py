"""What people fill in: each field read by a rule, its error kept beside it, and what was typed kept too."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from decimal import Decimal
from typing import TypeVar, final
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from cabinet_sdk.types import Code, Money
from reference_server.audit import by_console
from reference_server.pages.rendering import SAFE

__all__ = ["Form", "submitted"]

C = TypeVar("C", bound=Code)

_MAX_BODY = 64 * 1024
_MAX_FIELDS = 50
_AMOUNT = re.compile(r"[0-9]{1,11}(?:[.,][0-9]{1,2})?", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)
_RUSSIAN_DAY = re.compile(r"([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4})", re.ASCII)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
# Beyond these years no charge is due, and arithmetic with days stays far from where it ends.
_YEARS = range(1990, 2101)


@final
class Form:
    """
    A form as it was sent, or as it is shown first.

    Each reading method returns None where the field is wrong, and keeps what is wrong with it in `errors`. An error of
    the whole form has no name.

    Args:
        values: What stands in the fields.
        name: Of the form, on a page that has several.
    """

    def __init__(self, values: Mapping[str, str] | None = None, *, name: str = "") -> None:
        self.values = dict(values or {})
        self.name = name
        self.errors: dict[str, str] = {}
        self._told: set[str] = set()

    def refuse(self, field: str, message: str) -> None:
        """Say what is wrong with a field, in a sentence that begins as one; the first word about it stands."""
        self.errors.setdefault(field, message[:1].upper() + message[1:])

    def error(self, name: str, field: str) -> str:
        """Return what is wrong with a field, for a page that tells it there; nothing if the form has another name."""
        if name != self.name or field not in self.errors:
            return ""
        self._told.add(field)
        return self.errors[field]

    def untold(self) -> list[tuple[str, str]]:
        """Return the errors that no page has told at their fields, such as those of a form that is not there now."""
        return [(field, message) for field, message in self.errors.items() if field not in self._told]

    def raw(self, field: str) -> str:
        """Return what was typed."""
        return self.values.get(field, "").strip()

    def text(self, field: str, *, longest: int, required: bool = True) -> str | None:
        """Read one line."""
        text = self.raw(field)
        if not text:
            if required:
                self.refuse(field, "Fill this in.")
            return None
        if len(text) > longest:
            self.refuse(field, f"At most {longest} characters, not {len(text)}.")
            return None
        if _UNPRINTABLE.search(text):
            self.refuse(field, "One line, without control characters.")
            return None
        return text

    def money(self, field: str, *, required: bool = True) -> Money | None:
        """Read an amount above zero as people write it: with a comma, with spaces between thousands."""
        typed = re.sub(r"[\s\u00a0\u202f₽]", "", self.raw(field))
        if not typed and not required:
            return None
        if not _AMOUNT.fullmatch(typed):
            self.refuse(field, "Roubles with at most two decimals, such as 1234.50.")
            return None
        amount = Money(Decimal(typed.replace(",", ".")))
        if not amount:
            self.refuse(field, "An amount above zero.")
            return None
        return amount

    def day(self, field: str) -> dt.date | None:
        """Read a day that may be left out, as a date picker sends it or as Russians write it."""
        typed = self.raw(field)
        if not typed:
            return None
        try:
            russian = _RUSSIAN_DAY.fullmatch(typed)
            if russian is None:
                day = dt.date.fromisoformat(typed)
            else:
                day = dt.date(int(russian[3]), int(russian[2]), int(russian[1]))
        except ValueError:
            self.refuse(field, "A day such as 2026-12-31 or 31.12.2026.")
            return None
        if day.year not in _YEARS:
            self.refuse(field, f"A day from {_YEARS.start} to {_YEARS.stop - 1}.")
            return None
        return day

    def number(self, field: str, *, least: int, most: int, required: bool = True) -> int | None:
        """Read a whole number."""
        typed = self.raw(field)
        if not typed and not required:
            return None
        if not _NUMBER.fullmatch(typed) or not least <= int(typed) <= most:
            self.refuse(field, f"A whole number from {least} to {most}.")
            return None
        return int(typed)

    def choice(self, field: str, options: Iterable[C], *, required: bool = True) -> C | None:
        """Read one of some codes."""
        typed = self.raw(field)
        found = next((option for option in options if option == typed), None)
        if found is None and (typed or required):
            self.refuse(field, "Choose one of the list.")
        return found


def submitted(act: Callable[[Request, Form], Response]) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint that reads a form and acts on it, in a worker thread since a world in a file waits there."""

    async def endpoint(request: Request) -> Response:
        if request.headers.get("content-encoding", "identity").lower() != "identity":
            return PlainTextResponse("The form is coded.", status_code=415, headers=SAFE)
        body = bytearray()
        try:
            async for piece in request.stream():
                body += piece
                if len(body) > _MAX_BODY:
                    return PlainTextResponse("The form is too large.", status_code=413, headers=SAFE)
        except ClientDisconnect:
            return PlainTextResponse("The form ends before its end.", status_code=400, headers=SAFE)
        try:
            pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS)
        except ValueError:
            return PlainTextResponse("The form cannot be read.", status_code=400, headers=SAFE)
        values = dict(pairs)
        if len(values) < len(pairs):
            return PlainTextResponse("The form has a field twice.", status_code=400, headers=SAFE)
        with by_console(None if request.client is None else request.client.host):
            return await run_in_threadpool(act, request, Form(values))

    return endpoint
