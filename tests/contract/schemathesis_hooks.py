"""
What schemathesis has to know beyond the document: values of the formats that no pattern can describe.

``schemathesis.toml`` beside names this file; schemathesis loads it by itself, in a process of its own.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, cast

import schemathesis
from hypothesis import strategies as st

from cabinet_sdk.errors import InvalidValue
from cabinet_sdk.types import Inn, Money, Period, SelfChecking, Uin

SENT_KEYS: set[str] = set()


def completed(kind: type[SelfChecking], stem: str) -> str:
    """Return the stem with its check digits, or the example where there are none for it."""
    try:
        return str(kind.with_check_digits(stem))
    except InvalidValue:
        return kind.example


def period(first: dt.date, last: dt.date) -> str:
    """Return the period of two days in either order."""
    return str(Period(min(first, last), max(first, last)))


INN_STEMS = st.from_regex(r"[0-9]{9,10}", fullmatch=True)
UIN_STEMS = st.from_regex(r"[0-9A-ZА-ИК-Я]{19}|[0-9]{24}", fullmatch=True)

schemathesis.openapi.format("inn", INN_STEMS.map(lambda stem: completed(Inn, stem)))
schemathesis.openapi.format("uin", UIN_STEMS.map(lambda stem: completed(Uin, stem)))
schemathesis.openapi.format("period", st.builds(period, st.dates(), st.dates()))
# Above zero: nothing else can be paid, a rule of the operation and not of money.
schemathesis.openapi.format("money", st.integers(1, 10**18 - 1).map(lambda kopecks: str(Money.from_kopecks(kopecks))))


@schemathesis.hook  # pyright: ignore[reportUnknownMemberType]  # its own types say no more
def before_call(_: schemathesis.HookContext, case: schemathesis.Case[Any], **__: object) -> None:
    """
    Mend requests that are meant to be right, where the document says in words what a schema cannot; wrong ones stay.

    A cursor is sealed by the server for one list and its filters, so none can be made up, nor the `ETag` of a file. An
    idempotency key belongs to one request, while examples come often. A charge stands once in a payment, while
    generated items may name it twice.
    """
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    case.query.pop("cursor", None)
    headers = cast("dict[str, str]", case.headers)  # pyright: ignore[reportUnknownMemberType]  # as above
    headers.pop("If-Match", None)
    if "Idempotency-Key" in headers:
        # Quoted or bare, it is the same key.
        if headers["Idempotency-Key"].strip('"') in SENT_KEYS:
            headers["Idempotency-Key"] = f"key-{len(SENT_KEYS)}"
        SENT_KEYS.add(headers["Idempotency-Key"].strip('"'))
    if (case.method, case.path) == ("POST", "/payments"):
        body = cast("dict[str, list[dict[str, object]]]", case.body)
        body["items"] = list({item["charge_id"]: item for item in body["items"]}.values())
