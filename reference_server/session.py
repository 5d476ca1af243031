"""What a handler works with: the unit of work, who is asking, and the answer as it comes about."""

from __future__ import annotations

import datetime as dt
from typing import final

import attrs

from cabinet_sdk._core.wire import ByteStream
from cabinet_sdk.types import moscow_date
from reference_server.audit import Journal
from reference_server.database import Database
from reference_server.ids import Ids
from reference_server.profiles import Profile

__all__ = ["Reply", "Session", "Work"]


@final
@attrs.frozen(kw_only=True)
class Work:
    """
    One unit of work: all of it is inside one transaction and happens at one moment.

    Attributes:
        database: The world's tables.
        ids: Makes ids and numbers.
        journal: Takes down what is done.
        now: The moment, in UTC.
    """

    database: Database
    ids: Ids
    journal: Journal
    now: dt.datetime

    @property
    def today(self) -> dt.date:
        """The day in Moscow, by which terms of law are counted."""
        return moscow_date(self.now)


@final
@attrs.define(kw_only=True)
class Session:
    """
    One request that passed the rights.

    Attributes:
        work: The unit of work.
        profile: Who is asking; whatever is another profile's does not exist.
        origin: Scheme and host that the caller used, for addresses in answers.
        come_back_in: Seconds after which asking again makes sense; set by a handler whose answer is not final.
    """

    work: Work
    profile: Profile
    origin: str
    come_back_in: int | None = None


@final
@attrs.define
class Reply:
    """
    An answer as it comes about: each step adds to its head, and what every answer has comes last.

    Attributes:
        status: The HTTP status.
        headers: So far, names in lower case.
        content: The whole body.
        stream: The body to come, where it is not in memory.
        length: Of the body in bytes, where `content` does not say it.
    """

    status: int
    headers: list[tuple[str, str]]
    content: bytes = b""
    stream: ByteStream | None = None
    length: int | None = None
