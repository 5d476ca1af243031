"""
A request to an answer: everything that is done around a handler, in one order for every row.

Path and method, token, rate limit, permission, format; then the body, fields, idempotency key, handler, journal and
commit. What a handler never sees stands here; what is about an area never does.

It goes in two steps, so that in memory and on a socket one order holds: the first judges the head, and only then is the
body asked for.
"""

from __future__ import annotations

import logging
import re
import sqlite3
from collections.abc import Sequence
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any, Self, cast, final
from urllib.parse import parse_qsl, urlencode, urlsplit

import attrs

from cabinet_sdk._core.answer_codec import encode_answer
from cabinet_sdk._core.operation import Repeat, Upload
from cabinet_sdk._core.problems import MEDIA_TYPE, to_document
from cabinet_sdk._core.redaction import shown_url
from cabinet_sdk._core.request_codec import decode_request, fingerprint
from cabinet_sdk._core.wire import Body, Headers, Request, Response
from cabinet_sdk.errors import (
    FieldError,
    InternalError,
    MalformedRequest,
    MethodNotAllowed,
    MisdirectedRequest,
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
    UsageError,
)
from reference_server import idempotency, signin
from reference_server.audit import DONE
from reference_server.database import DatabaseRefused, cannot_serve
from reference_server.faults import CrashAskedFor, Fault, FaultKind, lost
from reference_server.files import StoredFile, answer_file
from reference_server.limits import read_json, whole
from reference_server.paging import Selection, Window, page, window_of
from reference_server.routing import Admitted, Route
from reference_server.session import Reply, Session, Work
from reference_server.uploads import read_form

if TYPE_CHECKING:
    import datetime as dt

    from reference_server.world import World

__all__ = ["BASE_PATH", "EVERY_ANSWER", "Exchange", "LoggedRequest", "respond"]

logger = logging.getLogger("reference_server")

BASE_PATH = "/v1"

# The request ids that are repeated; others could spoil a log and are replaced.
_REQUEST_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}", re.ASCII)
_BELOW = f"{BASE_PATH}/"
_TOKEN_PATH = f"{BASE_PATH}/oauth/token"
# Far more than a form for a token has: strangers may send it, and it lies in memory until it is whole.
_TOKEN_ADMITTED = Admitted(16 * 1024)
_JSON = "application/json"
_UNWANTED = re.compile(r"q=0(?:\.0{0,3})?")
_FORM = "multipart/form-data"
# Seconds, where the disk is full or the file locked.
_COME_BACK_IN = 1
_LONGEST_SUBJECT = 200
_LONGEST_LOGGED = 1000
_MISDIRECTED = (
    "A server for this machine alone answers to localhost, names below it and loopback addresses: use one of these, or "
    "serve others with --host."
)
EVERY_ANSWER = (("cache-control", "no-store"), ("x-content-type-options", "nosniff"))
_BAD_GATEWAY = b"<html><body><h1>502 Bad Gateway</h1></body></html>"


@final
@attrs.frozen
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
class Exchange:
    """
    A request on its way to its answer, in two steps: its head is judged before its body is there.

    Args:
        world: Which world.
        method: The HTTP method, in upper case.
        origin: Scheme and host that the caller used.
        path: With the base path, still percent-encoded.
        query: Still percent-encoded.
        headers: Of the request.
        sender: The network address that it came from.
        misdirected: Whether it came under a name that is not this machine's, where only this machine is served.
    """

    # What log and journal will say, and what is not known before the head is judged.
    _operation: str | None = None
    _profile_id: str | None = None
    _key: str | None = None
    _problem: Problem | None = None
    _replayed: bool = False
    _waited: bool = False
    _route: Route | None = None
    _claim: idempotency.Claim | None = None

    def __init__(
        self,
        world: World,
        *,
        method: str,
        origin: str,
        path: str,
        query: str,
        headers: Headers,
        sender: str | None = None,
        misdirected: bool = False,
    ) -> None:
        self._world = world
        self._method = method
        self._origin = origin
        self._path = path
        self._query = query
        self.headers = headers
        self._sender = sender
        self.misdirected = misdirected
        self._found = MisdirectedRequest(_MISDIRECTED) if misdirected else self._find()

    @classmethod
    def of(cls, world: World, request: Request) -> Self:
        """Return the exchange of a request; its content is not looked at."""
        parts = urlsplit(request.url)
        origin = f"{parts.scheme}://{parts.netloc}"
        return cls(
            world, method=request.method, origin=origin, path=parts.path, query=parts.query, headers=request.headers
        )

    @property
    def operation(self) -> str:
        """The id of the operation that was found, empty where there is none."""
        return "" if isinstance(self._found, Problem) else self._found[0].row.id

    @property
    def profile_id(self) -> str | None:
        """As whom it is asked, None before the head is judged."""
        return self._profile_id

    @property
    def slow(self) -> bool:
        """Whether answering may take a while."""
        return not isinstance(self._found, Problem) and self._found[0].download

    def respond(self, content: bytes | Body) -> Reply:
        """
        Answer a request that is there whole: both steps at once.

        Raises:
            ConnectionLost: A fault asks that the connection be broken.
        """
        begun = self.admit()
        return self._answer(content) if isinstance(begun, Admitted) else begun

    def admit(self) -> Admitted | Reply:
        """Judge the head: return what may follow, or the refusal."""
        given = self.headers.get("x-request-id")
        self._request_id = given if given and _REQUEST_ID.fullmatch(given) else self._world.new_request_id()
        try:
            return self._judge()
        except BaseException as error:  # noqa: BLE001  # answered or raised again
            return self._refused(error)

    def answer(self, content: bytes | Body) -> Reply:
        """
        Answer what was admitted, and may have waited for its body since.

        Raises:
            ConnectionLost: A fault asks that the connection be broken.
        """
        self._waited = True
        return self._answer(content)

    def _answer(self, content: bytes | Body) -> Reply:
        try:
            reply = self._grant(content) if self._route is None else self._carry_out(self._route, content)
            # These strike after the commit.
            if self._strike(FaultKind.LOSE_ANSWER, FaultKind.GARBLE_ANSWER) is not None:
                reply = Reply(502, [("content-type", "text/html")], _BAD_GATEWAY)
        except BaseException as error:  # noqa: BLE001  # as above
            return self._refused(error)
        return self._finished(reply)

    def refuse(self, error: Problem | OSError) -> Reply:
        """Answer that the body of what was admitted cannot be taken."""
        return self._refused(error)

    def abandon(self) -> None:
        """Give up what was admitted: its client is gone before its body was whole, and nothing comes of it."""
        self._end(None)

    # The head.

    def _find(self) -> tuple[Route, dict[str, str]] | Problem:
        if not self._path.startswith(_BELOW):
            return UnknownOperation()
        try:
            return self._world.router.match(self._method, self._path[len(BASE_PATH) :])
        except Problem as error:
            return error

    def _judge(self) -> Admitted:
        world, headers = self._world, self.headers
        if self._path == _TOKEN_PATH and not self.misdirected:
            self._operation = signin.TOKEN
            self._check_coding()
            return _TOKEN_ADMITTED
        if isinstance(self._found, Problem):
            raise self._found
        route, self._values = self._found
        self._operation = route.row.id
        if route.row.repeat is Repeat.KEYED:
            self._claim = world.running.claim(headers)
        with world.lock:
            now = world.clock.now()
            self._sign_in(now)
            self._limits = world.limiter.admit(self._bearer.profile.id, now)
            self._check_permission(route)
            self._check_format(route)
        self._route = route
        return route.admitted

    def _sign_in(self, now: dt.datetime) -> None:
        try:
            self._bearer = signin.authenticate(self._world.database, self.headers, now)
        except RightsError:
            self._count_stranger()
            raise
        self._profile_id = self._bearer.profile.id

    def _count_stranger(self) -> None:
        """
        Count by its address an attempt of somebody unknown: neither guessing nor the journal goes on without end.

        Raises:
            RateLimited: There were too many.
        """
        self._world.limiter.admit(f"address {self._sender}", self._world.clock.now())

    def _check_permission(self, route: Route) -> None:
        if route.permission not in self._bearer.permissions:
            raise PermissionMissing(members={"permission": route.permission})

    def _check_format(self, route: Route) -> None:
        headers = self.headers
        accepted = headers.get("accept")
        # Files come as they are: there is no other format to choose.
        if accepted not in {None, _JSON} and not route.download and not _takes_json(accepted or ""):
            raise NotAcceptable
        self._check_coding()
        if route.takes_body:
            expected = _FORM if isinstance(route.row, Upload) else _JSON
            if (headers.get("content-type") or "").partition(";")[0].strip().lower() != expected:
                raise UnsupportedMediaType(f"The operation takes {expected}, not compressed.")

    def _check_coding(self) -> None:
        if (self.headers.get("content-encoding") or "identity").lower() != "identity":
            raise UnsupportedMediaType

    # The rest.

    def _grant(self, content: bytes | Body) -> Reply:
        self._strike(FaultKind.REFUSE, FaultKind.LOSE_REQUEST)
        with self._world.work() as work:
            reply = signin.grant(
                work, self._method, self.headers, content, request_id=self._request_id, sender=self._sender
            )
            if reply.status == 401:
                self._count_stranger()
            self._strike(FaultKind.CRASH)
            return reply

    def _carry_out(self, route: Route, content: bytes | Body) -> Reply:
        with self._world.lock:
            reply = self._answered(route, content)
        if isinstance(reply, StoredFile):
            # It may still have to be made or read, which takes no world; what may not leave after all is no entry.
            reply = answer_file(reply, self._method, self.headers)
            with self._world.lock, self._world.database.transaction():
                self._take_down(self._world.unit(self._world.clock.now()), self._path)
                self._strike(FaultKind.CRASH)
        reply.headers += self._limits
        return reply

    def _answered(self, route: Route, content: bytes | Body) -> Reply | StoredFile:
        world = self._world
        now = world.clock.now()
        if route.takes_body or self._waited:
            # Since the head was judged, the token may have been taken away or a permission lost.
            self._sign_in(now)
            self._check_permission(route)
        if content and not route.takes_body:
            raise MalformedRequest("The operation takes no body.")
        self._step(route, now)
        self._strike(FaultKind.REFUSE, FaultKind.LOSE_REQUEST)
        query, window = self._read_query(route)
        session = Session(work=world.unit(now), profile=self._bearer.profile, origin=self._origin)
        if isinstance(route.row, Upload):
            # The files of a form are there as long as the context is open.
            with read_form(route.row, self.headers, content) as form:
                return self._change(route, session, decode_request(route.row, self._values, query, form))
        body = read_json(whole(content)) if content else None
        value = decode_request(route.row, self._values, query, body)
        if route.changes:
            return self._change(route, session, value)
        if route.download:
            stored: StoredFile = route.handler(session, value)
            return stored
        return self._reply(route, session, value, route.handler(session, value), window)

    def _step(self, route: Route, now: dt.datetime) -> None:
        """Let the clock act; what cannot be written now waits, and is no reason not to read."""
        try:
            self._world.step(now)
        except (sqlite3.OperationalError, OSError) as error:
            if route.changes or not cannot_serve(error):
                raise

    def _read_query(self, route: Route) -> tuple[Sequence[tuple[str, str]], Window | None]:
        query: list[tuple[str, str]] = []
        try:
            if self._query:
                query = parse_qsl(
                    self._query, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=200
                )
        except ValueError as error:
            raise MalformedRequest("The query cannot be read.") from error
        return window_of(query) if route.listing else (query, None)

    def _change(self, route: Route, session: Session, value: object) -> Reply:
        """Carry out a change, take it down and keep its answer, in one transaction."""
        work, profile_id = session.work, session.profile.id
        if route.row.repeat is Repeat.NEVER:
            with work.database.transaction():
                return self._carried_out(route, session, value)
        key = self._key = idempotency.key_of(self.headers)
        mark = fingerprint(route.row, value)
        with work.database.transaction():
            kept = idempotency.look_up(work, profile_id, key, mark)
            if kept is not None:
                self._replayed = True
                return self._replay(kept, session)
            reply = self._carried_out(route, session, value)
            idempotency.keep(work, profile_id, key, mark, reply)
            return reply

    def _carried_out(self, route: Route, session: Session, value: object) -> Reply:
        reply = self._reply(route, session, value, route.handler(session, value), None)
        self._take_down(session.work, dict(reply.headers).get("location") or self._path)
        return reply

    def _take_down(self, work: Work, path: str, outcome: str = DONE) -> None:
        work.journal.record(
            work,
            self._operation or "",
            outcome=outcome,
            # A client is its profile's, so far.
            actor=self._profile_id,
            profile_id=self._profile_id,
            subject=_subject(path),
            request_id=self._request_id,
            sender=self._sender,
        )

    def _replay(self, kept: idempotency.Kept, session: Session) -> Reply:
        reply = kept.answer
        if reply is None:
            route, values = self._world.router.match("GET", (kept.location or "")[len(BASE_PATH) :])
            value = decode_request(route.row, values, (), None)
            reply = Reply(200, [("content-type", _JSON)], encode_answer(route.handler(session, value)))
        reply.headers.append(("idempotency-replayed", "true"))
        return reply

    def _reply(
        self,
        route: Route,
        session: Session,
        value: object,
        result: Any,  # Any: the row's
        window: Window | None,
    ) -> Reply:
        row = route.row
        headers = [("content-type", _JSON)]
        if window is not None:
            selection = cast("Selection[object]", result)
            scope = b"\n".join((session.profile.id.encode(), fingerprint(row, value)))
            result, token = page(session.work.database, selection, window, self._world.cursor_secret, scope)
            if token is not None:
                headers.append(("link", self._next_page(token)))
        if row.created is not None:
            template = row.created.path.rpartition("{")[0]
            headers.append(("location", f"{BASE_PATH}{template}{result.id}"))
        if session.come_back_in is not None:
            # With nothing left, whoever came back when it is worth looking would be refused.
            closed_for = self._world.limiter.closed_for(session.profile.id, session.work.now)
            headers.append(("retry-after", str(max(session.come_back_in, closed_for))))
        self._strike(FaultKind.CRASH)
        return Reply(row.success_status, headers, encode_answer(result))

    def _next_page(self, token: str) -> str:
        kept = [(name, value) for name, value in parse_qsl(self._query, keep_blank_values=True) if name != "cursor"]
        return f'<{self._path}?{urlencode([*kept, ("cursor", token)])}>; rel="next"'

    def _strike(self, *kinds: FaultKind) -> Fault | None:
        faults = self._world.faults
        if not faults.set:
            return None
        with self._world.lock:
            fault = faults.strike(self._operation or "", kinds)
        if fault is None:
            return None
        if fault.problem is not None:
            # A new one each time: it is told the id of its request, and keeps where it was raised.
            raise copy(fault.problem)
        if fault.kind is FaultKind.CRASH:
            msg = "a crash that a fault asked for"
            raise CrashAskedFor(msg)
        if fault.kind in {FaultKind.LOSE_REQUEST, FaultKind.LOSE_ANSWER}:
            raise lost()
        return fault

    # The end.

    def _refused(self, error: BaseException) -> Reply:
        """Answer with a problem document what is wrong with the request or with us; anything else is raised again."""
        try:
            problem = self._problem = self._problem_of(error)
            problem.request_id = self._request_id
            reply = self._document(problem)
        except BaseException:
            self._end(None)
            raise
        return self._finished(reply)

    def _problem_of(self, error: BaseException) -> Problem:
        if isinstance(error, Problem):
            if _is_denial(error):
                self._take_down_denial(error)
            return error
        if isinstance(error, NetworkError) or not isinstance(error, Exception):
            raise error
        if cannot_serve(error):
            logger.warning("%s cannot be served: %s, request id %s", self._operation, error, self._request_id)
            return ServiceUnavailable(retry_after=_COME_BACK_IN)
        level = logging.INFO if isinstance(error, CrashAskedFor) else logging.ERROR
        # A database that is closed, or another process's, has said all.
        where = None if isinstance(error, CrashAskedFor | DatabaseRefused | UsageError) else error
        logger.log(level, "%s failed: %s, request id %s", self._operation, error, self._request_id, exc_info=where)
        return InternalError()

    def _take_down_denial(self, error: Problem) -> None:
        world = self._world
        try:
            with world.lock, world.database.transaction():
                self._take_down(world.unit(world.clock.now()), self._path, error.code)
        except (sqlite3.OperationalError, OSError):
            # It stays denied, whatever becomes of the journal.
            logger.exception("a denied attempt is not in the journal, request id %s", self._request_id)

    def _document(self, error: Problem) -> Reply:
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
                headers += self._world.limiter.exhausted(error.retry_after)
        return Reply(error.status, headers, encode_answer(to_document(error)))

    def _finished(self, reply: Reply) -> Reply:
        """Log the request, and write what every answer has in its head."""
        self._end(reply.status)
        headers = reply.headers
        headers.append(("x-request-id", self._request_id))
        headers += EVERY_ANSWER
        if reply.status != 304:
            headers.append(("content-length", str(len(reply.content) if reply.length is None else reply.length)))
        if self._method == "HEAD":
            reply.content = b""
        return reply

    def _end(self, status: int | None) -> None:
        if self._claim is not None:
            self._world.running.release(self._claim)
        problem = self._problem
        code = None if problem is None else problem.code
        # Short, for a thousand are kept, and those of strangers too.
        url = f"{self._origin}{self._path[:_LONGEST_LOGGED]}"
        if self._query or "@" in url:
            url = shown_url(f"{url}?{self._query[:_LONGEST_LOGGED]}")
        logger.info("%s %s -> %s %s, request id %s", self._method, url, status, code or "", self._request_id)
        self._world.log(
            # Made when somebody looks; by position, for names would cost twice as much.
            partial(
                LoggedRequest,
                self._world.clock.now(),
                self._method,
                url,
                self._request_id,
                self._operation,
                self._profile_id,
                self._key,
                status,
                code,
                self._replayed,
                None if problem is None else problem.message,
                () if problem is None else problem.errors,
            )
        )


def respond(world: World, request: Request) -> Response:
    """
    Answer a request that is there whole.

    Raises:
        ConnectionLost: A fault asks that the connection be broken.
        UsageError: The world is closed, or in a file of the process that this one was forked from.
    """
    try:
        world.database.expect_open()
    except DatabaseRefused as error:
        # Whoever calls it is wrong, and no server has an outcome that nobody knows.
        raise UsageError(str(error)) from error
    reply = Exchange.of(world, request).respond(request.content)
    return Response(status=reply.status, headers=Headers(reply.headers), content=reply.content, stream=reply.stream)


def _is_denial(error: Problem) -> bool:
    """Say whether somebody tried what is not theirs; what is not there may be another's, which nobody is to know."""
    return isinstance(error, RightsError) or (isinstance(error, NotFound) and not isinstance(error, UnknownOperation))


def _takes_json(accepted: str) -> bool:
    """Say whether the most specific range that JSON falls into is wanted at all (RFC 9110 12.5.1)."""
    wanted: dict[str, bool] = {}
    for each in accepted.lower().split(","):
        media, *parameters = [part.strip() for part in each.split(";")]
        wanted[media] = wanted.get(media, False) or not any(map(_UNWANTED.fullmatch, parameters))
    return next((wanted[media] for media in (_JSON, "application/*", "*/*") if media in wanted), False)


def _subject(path: str) -> str:
    return path[len(BASE_PATH) :][:_LONGEST_SUBJECT]
