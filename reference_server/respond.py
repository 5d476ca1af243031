"""
A request to an answer: everything that is done around a handler, in one order for every row.

Path and method, token, rate limit, permission, format, fields, idempotency key, handler, commit. What a handler never
sees stands here; what is about an area never does.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, cast, final
from urllib.parse import parse_qsl, urlencode, urlsplit

import attrs

from cabinet_sdk._core.answer_codec import encode_answer
from cabinet_sdk._core.operation import Download, Listing, Repeat, Upload
from cabinet_sdk._core.problems import MEDIA_TYPE, to_document
from cabinet_sdk._core.redaction import shown_url
from cabinet_sdk._core.request_codec import decode_request, fingerprint
from cabinet_sdk._core.wire import Headers, Request, Response
from cabinet_sdk.contract import Row
from cabinet_sdk.errors import (
    FieldError,
    InternalError,
    InvalidRequest,
    MalformedRequest,
    MethodNotAllowed,
    NetworkError,
    NotAcceptable,
    PermissionMissing,
    Problem,
    RangeNotSatisfiable,
    RateLimited,
    SignInRequired,
    UnknownOperation,
    UnsupportedMediaType,
)
from reference_server import idempotency, signin
from reference_server.faults import Fault, FaultKind, lost
from reference_server.files import answer_file
from reference_server.limits import read_json, whole
from reference_server.paging import DEFAULT_LIMIT, MAX_LIMIT, Selection, Window, page
from reference_server.routing import Handler, Match
from reference_server.session import Session
from reference_server.uploads import read_form

if TYPE_CHECKING:
    import datetime as dt

    from reference_server.world import World

__all__ = ["BASE_PATH", "REQUEST_ID", "LoggedRequest", "Respond", "respond"]

logger = logging.getLogger("reference_server")

BASE_PATH = "/v1"

REQUEST_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}", re.ASCII)
"""The request ids that are repeated; others could spoil a log and are replaced."""
_LIMIT = re.compile(r"[0-9]{1,9}", re.ASCII)
_JSON = "application/json"
_FORM = "multipart/form-data"
_BAD_GATEWAY = b"<html><body><h1>502 Bad Gateway</h1></body></html>"


@final
@attrs.frozen(kw_only=True)
class LoggedRequest:
    """
    A request that a world has seen; it holds nothing that must not be shown.

    Attributes:
        at: When, by the world's clock.
        method: The HTTP method.
        url: Without the parameters that are not on the allow-list.
        request_id: Of the request.
        operation: The row's id, None where no row was found.
        profile_id: As whom, None where nobody was signed in.
        idempotency_key: As sent.
        status: Of the answer; None where the connection was broken on purpose.
        problem: The problem's code, if it was one.
        replayed: Whether the answer was one that the key had got before.
        detail: What the problem said of this very request.
        errors: The fields that it found wrong, masked as in the answer.
    """

    at: dt.datetime
    method: str
    url: str
    request_id: str
    operation: str | None
    profile_id: str | None
    idempotency_key: str | None
    status: int | None
    problem: str | None
    replayed: bool
    detail: str | None = None
    errors: tuple[FieldError, ...] = ()


@final
@attrs.define
class _Seen:
    """What the log will say."""

    operation: str | None = None
    profile_id: str | None = None
    key: str | None = None
    problem: str | None = None
    replayed: bool = False
    detail: str | None = None
    errors: tuple[FieldError, ...] = ()


def respond(world: World, request: Request) -> Response:
    """
    Answer a request in a world.

    Raises:
        ConnectionLost: A fault asks that the connection be broken.
    """
    given = request.headers.get("x-request-id")
    request_id = given if given is not None and REQUEST_ID.fullmatch(given) else world.new_request_id()
    seen = _Seen()
    status: int | None = None
    try:
        response = _answer(world, request, request_id, seen)
        status = response.status
    finally:
        logged = LoggedRequest(
            at=world.clock.now(),
            method=request.method,
            url=shown_url(request.url),
            request_id=request_id,
            operation=seen.operation,
            profile_id=seen.profile_id,
            idempotency_key=seen.key,
            status=status,
            problem=seen.problem,
            replayed=seen.replayed,
            detail=seen.detail,
            errors=seen.errors,
        )
        world.log(logged)
        logger.info("%s %s -> %s %s, request id %s", logged.method, logged.url, status, seen.problem or "", request_id)
    common = (
        ("x-request-id", request_id),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
    )
    names = set(response.headers)
    headers = Headers((*response.headers.pairs(), *(pair for pair in common if pair[0] not in names)))
    return attrs.evolve(response, headers=headers, content=b"" if request.method == "HEAD" else response.content)


def _answer(world: World, request: Request, request_id: str, seen: _Seen) -> Response:
    parts = urlsplit(request.url)
    path, origin = parts.path, f"{parts.scheme}://{parts.netloc}"
    try:
        if path == f"{BASE_PATH}/oauth/token":
            seen.operation = "sign_in.token"
            with world.work() as work:
                return signin.grant(work, request)
        if not path.startswith(f"{BASE_PATH}/"):
            raise UnknownOperation
        match = world.router.match(request.method, path[len(BASE_PATH) :])
        seen.operation = match.row.id
        with world.running.claim(request.headers), world.lock:
            world.step()
            return _Exchange(world, request, match, seen).answer()
    except Problem as error:
        error.request_id = request_id
        seen.problem, seen.detail, seen.errors = error.code, error.message, error.errors
        return _problem(world, error, origin)
    except NetworkError:
        raise
    except Exception:
        logger.exception("%s failed, request id %s", seen.operation, request_id)
        fault = InternalError(request_id=request_id)
        seen.problem = fault.code
        return _problem(world, fault, origin)


def _problem(world: World, error: Problem, origin: str) -> Response:
    headers = [("content-type", MEDIA_TYPE)]
    if error.status == 401:
        challenge = "Bearer" if isinstance(error, SignInRequired) else 'Bearer error="invalid_token"'
        headers.append(("www-authenticate", challenge))
    if isinstance(error, PermissionMissing):
        scope = error.permission or ""
        headers.append(("www-authenticate", f'Bearer error="insufficient_scope", scope="{scope}"'))
    if isinstance(error, MethodNotAllowed):
        headers.append(("allow", error.allow or ""))
    if isinstance(error, RangeNotSatisfiable):
        headers.append(("content-range", error.content_range or ""))
    if error.retry_after is not None:
        headers.append(("retry-after", str(int(error.retry_after))))
        if isinstance(error, RateLimited):
            headers += world.limiter.exhausted(error.retry_after)
    document = to_document(error, f"{origin}/problems")
    return Response(status=error.status, headers=Headers(headers), content=encode_answer(document))


@final
class _Exchange:
    """One request of a row that exists."""

    def __init__(self, world: World, request: Request, match: Match, seen: _Seen) -> None:
        parts = urlsplit(request.url)
        self._world = world
        self._request = request
        self._row: Row = match.row
        self._handler: Handler = match.handler
        self._path = match.path
        self._query = parts.query
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._seen = seen
        self._headers: list[tuple[str, str]] = [("content-type", _JSON)]

    def answer(self) -> Response:
        world, row = self._world, self._row
        now = world.clock.now()
        bearer = signin.authenticate(world.database, self._request.headers, now)
        self._seen.profile_id = bearer.profile.id
        limits = world.limiter.admit(bearer.profile.id, now)
        if row.permission.code not in bearer.permissions:
            raise PermissionMissing(members={"permission": row.permission.code})
        self._strike(FaultKind.REFUSE, FaultKind.LOSE_REQUEST)
        self._check_format()
        query, window = self._window()
        session = Session(work=world.unit(now), profile=bearer.profile, origin=self._origin)
        with self._body() as body:
            value = decode_request(row, self._path, query, body)
            if row.repeat is Repeat.SAFE:
                response = self._response(self._handler(session, value), session, value, window)
            else:
                response = self._change(session, value)
        fault = self._strike(FaultKind.LOSE_ANSWER, FaultKind.GARBLE_ANSWER)
        if fault is not None:
            return Response(status=502, headers=Headers((("content-type", "text/html"),)), content=_BAD_GATEWAY)
        return attrs.evolve(response, headers=Headers((*response.headers.pairs(), *limits)))

    def _body(self) -> AbstractContextManager[object]:
        """Read the body; the files of a form are there as long as the context is open."""
        if isinstance(self._row, Upload):
            return read_form(self._row, self._request)
        content = whole(self._request.content)
        return nullcontext(read_json(content) if content else None)

    def _change(self, session: Session, value: object) -> Response:
        """Carry out a change and keep its answer, in one transaction."""
        world, row, work, profile_id = self._world, self._row, session.work, session.profile.id
        if row.repeat is Repeat.NEVER:
            with world.database.transaction():
                response = self._response(self._handler(session, value), session, value, None)
                self._strike(FaultKind.CRASH)
            return response
        key = self._seen.key = idempotency.key_of(self._request.headers)
        mark = fingerprint(row, value)
        with world.database.transaction():
            kept = idempotency.look_up(work, profile_id, key, mark)
            if kept is not None:
                self._seen.replayed = True
                return self._replay(kept, session)
            response = self._response(self._handler(session, value), session, value, None)
            idempotency.keep(work, profile_id, key, mark, response)
            self._strike(FaultKind.CRASH)
        return response

    def _replay(self, kept: idempotency.Kept, session: Session) -> Response:
        marked = ("idempotency-replayed", "true")
        if kept.response is not None:
            return attrs.evolve(kept.response, headers=Headers((*kept.response.headers.pairs(), marked)))
        match = self._world.router.match("GET", (kept.location or "")[len(BASE_PATH) :])
        value = decode_request(match.row, match.path, (), None)
        self._headers.append(marked)
        return Response(
            status=200,
            headers=Headers(self._headers),
            content=encode_answer(match.handler(session, value)),
        )

    def _response(
        self, result: Any, session: Session, value: object, window: Window | None
    ) -> Response:  # Any: the row's
        row = self._row
        if isinstance(row, Download):
            return answer_file(result, self._request)
        if window is not None:
            selection = cast("Selection[object]", result)
            scope = b"\n".join((session.profile.id.encode(), fingerprint(row, value)))
            items, token = page(session.work.database, selection, window, self._world.cursor_secret, scope)
            if token is not None:
                self._headers.append(("link", self._next_page(token)))
            result = items
        if row.created is not None:
            template = row.created.path.rpartition("{")[0]
            self._headers.append(("location", f"{BASE_PATH}{template}{result.id}"))
        if session.come_back_in is not None:
            self._headers.append(("retry-after", str(session.come_back_in)))
        return Response(status=row.success_status, headers=Headers(self._headers), content=encode_answer(result))

    def _next_page(self, token: str) -> str:
        kept = [(name, value) for name, value in parse_qsl(self._query) if name != "cursor"]
        path = urlsplit(self._request.url).path
        return f'<{path}?{urlencode([*kept, ("cursor", token)])}>; rel="next"'

    def _check_format(self) -> None:
        headers = self._request.headers
        accepted = headers.get("accept")
        # Files come as they are: there is no other format to choose.
        if (
            accepted is not None
            and not isinstance(self._row, Download)
            and not any(
                media.partition(";")[0].strip().lower() in {"*/*", "application/*", _JSON}
                for media in accepted.split(",")
            )
        ):
            raise NotAcceptable
        if (headers.get("content-encoding") or "identity").lower() != "identity":
            raise UnsupportedMediaType
        takes_body = self._row.method not in {"GET", "DELETE"}
        expected = _FORM if isinstance(self._row, Upload) else _JSON
        if takes_body and (headers.get("content-type") or "").partition(";")[0].strip().lower() != expected:
            raise UnsupportedMediaType(f"The operation takes {expected}, not compressed.")
        if not takes_body and self._request.content:
            raise MalformedRequest("The operation takes no body.")

    def _window(self) -> tuple[Sequence[tuple[str, str]], Window | None]:
        try:
            query = parse_qsl(
                self._query,
                keep_blank_values=True,
                strict_parsing=bool(self._query),
                errors="strict",
                max_num_fields=200,
            )
        except ValueError as error:
            raise MalformedRequest("The query cannot be read.") from error
        if not isinstance(self._row, Listing):
            return query, None
        given: dict[str, str] = {}
        refused: list[FieldError] = []
        for name, value in query:
            if name in {"limit", "cursor"}:
                if name in given:
                    refused.append(FieldError(name, "repeated", "expected the parameter once, got it again"))
                given[name] = value
        limit = given.get("limit", str(DEFAULT_LIMIT))
        if not _LIMIT.fullmatch(limit) or not 1 <= int(limit) <= MAX_LIMIT:
            refused.append(FieldError("limit", "range", f"expected 1 to {MAX_LIMIT}"))
        if refused:
            raise InvalidRequest(errors=tuple(refused))
        rest = [pair for pair in query if pair[0] not in {"limit", "cursor"}]
        return rest, Window(int(limit), given.get("cursor"))

    def _strike(self, *kinds: FaultKind) -> Fault | None:
        fault = self._world.faults.strike(self._row.id, kinds)
        if fault is None:
            return None
        if fault.problem is not None:
            raise fault.problem
        if fault.kind is FaultKind.CRASH:
            msg = "a crash that a fault asked for"
            raise RuntimeError(msg)
        if fault.kind in {FaultKind.LOSE_REQUEST, FaultKind.LOSE_ANSWER}:
            raise lost()
        return fault


Respond = Callable[[Request], Response]
