"""
A request to an answer: everything that is done around a handler, in one order for every row.

Path and method, token, rate limit, permission, format; then the body, fields, idempotency key, handler, journal and
commit. What a handler never sees stands here; what is about an area never does.

It is a generator in two steps, so that in memory and on a socket one order holds: the first judges the head, and only
then is the body asked for.
"""

from __future__ import annotations

import logging
import re
import sqlite3
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, cast, final
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

import attrs

from cabinet_sdk._core.answer_codec import encode_answer
from cabinet_sdk._core.operation import Download, Listing, Repeat, Upload
from cabinet_sdk._core.problems import MEDIA_TYPE, to_document
from cabinet_sdk._core.redaction import shown_url
from cabinet_sdk._core.request_codec import decode_request, fingerprint
from cabinet_sdk._core.wire import Body, Headers, Request, Response
from cabinet_sdk.contract import Row
from cabinet_sdk.errors import (
    FieldError,
    InternalError,
    InvalidRequest,
    MalformedRequest,
    MethodNotAllowed,
    NetworkError,
    NotAcceptable,
    NotFound,
    PermissionMissing,
    Problem,
    RangeNotSatisfiable,
    RateLimited,
    RightsError,
    ServiceUnavailable,
    SignInRequired,
    UnknownOperation,
    UnsupportedMediaType,
)
from reference_server import idempotency, signin
from reference_server.database import cannot_serve
from reference_server.faults import Fault, FaultKind, lost
from reference_server.files import StoredFile, answer_file
from reference_server.limits import MAX_BODY, read_json, whole
from reference_server.paging import DEFAULT_LIMIT, MAX_LIMIT, Selection, Window, page
from reference_server.routing import Handler, Match
from reference_server.session import Session
from reference_server.uploads import read_form

if TYPE_CHECKING:
    import datetime as dt

    from reference_server.world import World

__all__ = ["BASE_PATH", "Admitted", "Exchange", "LoggedRequest", "respond"]

logger = logging.getLogger("reference_server")

BASE_PATH = "/v1"

# The request ids that are repeated; others could spoil a log and are replaced.
_REQUEST_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}", re.ASCII)
_LIMIT = re.compile(r"[0-9]{1,9}", re.ASCII)
_JSON = "application/json"
_FORM = "multipart/form-data"
# Seconds, where the disk is full or the file locked.
_COME_BACK_IN = 1
_LONGEST_SUBJECT = 200
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
    idempotency_key: str | None = attrs.field(repr=False)
    status: int | None
    problem: str | None
    replayed: bool
    detail: str | None = None
    errors: tuple[FieldError, ...] = ()


@final
@attrs.define
class _Seen:
    """What the log and the journal will say."""

    request_id: str
    sender: str | None
    operation: str | None = None
    profile_id: str | None = None
    key: str | None = None
    problem: str | None = None
    replayed: bool = False
    detail: str | None = None
    errors: tuple[FieldError, ...] = ()


@final
@attrs.frozen
class Admitted:
    """
    A request whose head is good.

    Attributes:
        max_body: How many bytes its body may have.
        slow: Whether answering it may take a while.
    """

    max_body: int
    slow: bool


_JSON_ADMITTED = Admitted(MAX_BODY, slow=False)
_DOWNLOAD_ADMITTED = Admitted(MAX_BODY, slow=True)

_Steps = Generator[Admitted, bytes | Body, Response]


@final
class Exchange:
    """
    A request on its way to its answer, in two steps: its head is judged before its body is there.

    Args:
        world: Which world.
        request: What is asked; its content is not looked at.
        sender: The network address that it came from.
    """

    def __init__(self, world: World, request: Request, sender: str | None = None) -> None:
        self._steps = _steps(world, request, sender)

    def admit(self) -> Admitted | Response:
        """Judge the head: return what may follow, or the refusal."""
        try:
            return next(self._steps)
        except StopIteration as end:
            return _answer_of(end)

    def answer(self, content: bytes | Body) -> Response:
        """
        Answer what was admitted.

        Raises:
            ConnectionLost: A fault asks that the connection be broken.
        """
        try:
            self._steps.send(content)
        except StopIteration as end:
            return _answer_of(end)
        raise AssertionError

    def refuse(self, error: Problem | OSError) -> Response:
        """Answer that the body of what was admitted cannot be taken."""
        try:
            self._steps.throw(error)
        except StopIteration as end:
            return _answer_of(end)
        raise AssertionError

    def abandon(self) -> None:
        """Give up what was admitted: its client is gone before its body was whole, and nothing comes of it."""
        self._steps.close()


def _answer_of(end: StopIteration) -> Response:
    response: Response = end.value
    return response


def respond(world: World, request: Request) -> Response:
    """
    Answer a request that is there whole.

    Raises:
        ConnectionLost: A fault asks that the connection be broken.
    """
    exchange = Exchange(world, request)
    admitted = exchange.admit()
    return admitted if isinstance(admitted, Response) else exchange.answer(request.content)


def _steps(world: World, request: Request, sender: str | None) -> _Steps:
    """Answer a request, log it, and write what every answer has in its head."""
    given = request.headers.get("x-request-id")
    request_id = given if given is not None and _REQUEST_ID.fullmatch(given) else world.new_request_id()
    seen = _Seen(request_id, sender)
    status: int | None = None
    try:
        response = yield from _guarded(world, request, seen)
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
    common = [
        ("x-request-id", request_id),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
    ]
    if request.method == "HEAD" and response.status != 304:
        # What a GET would have brought (RFC 9110 8.6).
        common.append(("content-length", str(len(response.content))))
        response = attrs.evolve(response, content=b"")
    told = response.headers
    headers = Headers((*told.pairs(), *[pair for pair in common if pair[0] not in told]))
    # Written out, since `evolve` costs as much as a look into the database.
    return Response(status=response.status, headers=headers, content=response.content, stream=response.stream)


def _guarded(world: World, request: Request, seen: _Seen) -> _Steps:
    """Answer a request, with a problem document where something is wrong with it or with us."""
    parts = urlsplit(request.url)
    try:
        return (yield from _answered(world, request, parts, seen))
    except Problem as error:
        problem = error
        if _is_denial(error):
            _take_down_denial(world, parts.path, seen, error)
    except NetworkError:
        raise
    except Exception as error:
        if cannot_serve(error):
            logger.warning("%s cannot be served: %s, request id %s", seen.operation, error, seen.request_id)
            problem = ServiceUnavailable(retry_after=_COME_BACK_IN)
        else:
            logger.exception("%s failed, request id %s", seen.operation, seen.request_id)
            problem = InternalError()
    problem.request_id = seen.request_id
    seen.problem, seen.detail, seen.errors = problem.code, problem.message, problem.errors
    return _problem(world, problem, f"{parts.scheme}://{parts.netloc}")


def _answered(world: World, request: Request, parts: SplitResult, seen: _Seen) -> _Steps:
    path = parts.path
    if path == f"{BASE_PATH}/oauth/token":
        seen.operation = signin.TOKEN
        content = yield _JSON_ADMITTED
        with world.work() as work:
            response = signin.grant(work, attrs.evolve(request, content=content), seen.request_id, seen.sender)
            if response.status == 401:
                _count_stranger(world, seen)
            return response
    if not path.startswith(f"{BASE_PATH}/"):
        raise UnknownOperation
    match = world.router.match(request.method, path[len(BASE_PATH) :])
    seen.operation = match.row.id
    with world.running.claim(request.headers):
        exchange = _RowExchange(world, request, match, parts, seen)
        with world.lock:
            admitted = exchange.admit()
        # Nobody waits for us while we wait for the body.
        content = yield admitted
        with world.lock:
            answered = exchange.answer(content)
        return exchange.finish(answered)


def _count_stranger(world: World, seen: _Seen) -> None:
    """
    Count by its address an attempt of somebody unknown, so that neither guessing nor the journal goes on without end.

    Raises:
        RateLimited: There were too many.
    """
    world.limiter.admit(f"address {seen.sender}", world.clock.now())


def _is_denial(error: Problem) -> bool:
    """Say whether somebody tried what is not theirs; what is not there may be another's, which nobody is to know."""
    return isinstance(error, RightsError) or (isinstance(error, NotFound) and not isinstance(error, UnknownOperation))


def _take_down_denial(world: World, path: str, seen: _Seen, error: Problem) -> None:
    try:
        with world.lock, world.database.transaction():
            work = world.unit(world.clock.now())
            work.journal.record(
                work,
                seen.operation or "",
                outcome=error.code,
                actor=seen.profile_id,
                profile_id=seen.profile_id,
                subject=_subject(path),
                request_id=seen.request_id,
                sender=seen.sender,
            )
    except (sqlite3.OperationalError, OSError):
        # It stays denied, whatever becomes of the journal.
        logger.exception("a denied attempt is not in the journal, request id %s", seen.request_id)


def _subject(path: str) -> str:
    return path[len(BASE_PATH) :][:_LONGEST_SUBJECT]


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
class _RowExchange:
    """One request of a row that exists."""

    def __init__(self, world: World, request: Request, match: Match, parts: SplitResult, seen: _Seen) -> None:
        self._world = world
        self._request = request
        self._row: Row = match.row
        self._handler: Handler = match.handler
        self._path = match.path
        self._query = parts.query
        self._address = parts.path
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._takes_body = match.row.method not in {"GET", "DELETE"}
        self._seen = seen
        self._headers: list[tuple[str, str]] = [("content-type", _JSON)]

    def admit(self) -> Admitted:
        """Judge what the head says, under the world's lock."""
        now = self._world.clock.now()
        self._bearer = self._signed_in(now)
        self._limits = self._world.limiter.admit(self._bearer.profile.id, now)
        self._check_permission()
        self._check_format()
        if isinstance(self._row, Upload):
            # A form may have as much text around its file as any other body.
            return Admitted(self._row.max_bytes + MAX_BODY, slow=False)
        return _DOWNLOAD_ADMITTED if isinstance(self._row, Download) else _JSON_ADMITTED

    def answer(self, content: bytes | Body) -> Response | StoredFile:
        """Do the rest, under the world's lock; a file may still have to be made or read."""
        world, row = self._world, self._row
        now = world.clock.now()
        if self._takes_body:
            # While the body came, the token may have been taken away or a permission lost.
            self._bearer = self._signed_in(now)
            self._check_permission()
        elif content:
            raise MalformedRequest("The operation takes no body.")
        self._step()
        self._strike(FaultKind.REFUSE, FaultKind.LOSE_REQUEST)
        query, window = self._window()
        session = Session(work=world.unit(now), profile=self._bearer.profile, origin=self._origin)
        with self._body(content) as body:
            value = decode_request(row, self._path, query, body)
            if row.repeat is not Repeat.SAFE:
                return self._change(session, value)
            if isinstance(row, Download):
                with world.database.transaction():
                    stored: StoredFile = self._handler(session, value)
                    self._take_down(session, self._address)
                return stored
            return self._response(self._handler(session, value), session, value, window)

    def finish(self, answered: Response | StoredFile) -> Response:
        """Make a file an answer, which takes no world; then the faults strike that come after the commit."""
        response = answer_file(answered, self._request) if isinstance(answered, StoredFile) else answered
        fault = self._strike(FaultKind.LOSE_ANSWER, FaultKind.GARBLE_ANSWER)
        if fault is not None:
            return Response(status=502, headers=Headers((("content-type", "text/html"),)), content=_BAD_GATEWAY)
        if not self._limits:
            return response
        return attrs.evolve(response, headers=Headers((*response.headers.pairs(), *self._limits)))

    def _signed_in(self, now: dt.datetime) -> signin.Bearer:
        try:
            bearer = signin.authenticate(self._world.database, self._request.headers, now)
        except RightsError:
            _count_stranger(self._world, self._seen)
            raise
        self._seen.profile_id = bearer.profile.id
        return bearer

    def _check_permission(self) -> None:
        code = self._row.permission.code
        if code not in self._bearer.permissions:
            raise PermissionMissing(members={"permission": code})

    def _step(self) -> None:
        """Let the clock act; what cannot be written now waits, and is no reason not to read."""
        try:
            self._world.step()
        except (sqlite3.OperationalError, OSError) as error:
            if self._row.repeat is not Repeat.SAFE or not cannot_serve(error):
                raise

    def _body(self, content: bytes | Body) -> AbstractContextManager[object]:
        """Read the body; the files of a form are there as long as the context is open."""
        if isinstance(self._row, Upload):
            return read_form(self._row, self._request.headers, content)
        content = whole(content)
        return nullcontext(read_json(content) if content else None)

    def _change(self, session: Session, value: object) -> Response:
        """Carry out a change, take it down and keep its answer, in one transaction."""
        world, row, work, profile_id = self._world, self._row, session.work, session.profile.id
        if row.repeat is Repeat.NEVER:
            with world.database.transaction():
                response = self._response(self._handler(session, value), session, value, None)
                self._take_down(session, response.headers.get("location") or self._address)
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
            self._take_down(session, response.headers.get("location") or self._address)
            self._strike(FaultKind.CRASH)
        return response

    def _take_down(self, session: Session, path: str) -> None:
        session.work.journal.record(
            session.work,
            self._row.id,
            # A client is its profile's, so far.
            actor=session.profile.id,
            profile_id=session.profile.id,
            subject=_subject(path),
            request_id=self._seen.request_id,
            sender=self._seen.sender,
        )

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
        return f'<{self._address}?{urlencode([*kept, ("cursor", token)])}>; rel="next"'

    def _check_format(self) -> None:
        headers = self._request.headers
        accepted = headers.get("accept")
        # Files come as they are: there is no other format to choose.
        if (
            accepted not in {None, _JSON}
            and not isinstance(self._row, Download)
            and not any(
                media.partition(";")[0].strip().lower() in {"*/*", "application/*", _JSON}
                for media in (accepted or "").split(",")
            )
        ):
            raise NotAcceptable
        if (headers.get("content-encoding") or "identity").lower() != "identity":
            raise UnsupportedMediaType
        expected = _FORM if isinstance(self._row, Upload) else _JSON
        if self._takes_body and (headers.get("content-type") or "").partition(";")[0].strip().lower() != expected:
            raise UnsupportedMediaType(f"The operation takes {expected}, not compressed.")

    def _window(self) -> tuple[Sequence[tuple[str, str]], Window | None]:
        query: list[tuple[str, str]] = []
        try:
            if self._query:
                query = parse_qsl(
                    self._query, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=200
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
        with self._world.lock:
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
