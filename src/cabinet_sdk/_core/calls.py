"""A call from the request value to the answer: encode, sign in, send with retries within the deadline, decode."""

from __future__ import annotations

import datetime as dt
import logging
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, ParamSpec, TypeVar, final
from urllib.parse import urlencode

import attrs

from cabinet_sdk._core.answer_codec import decode_answer, unknown_fields
from cabinet_sdk._core.arguments import unsendable
from cabinet_sdk._core.context import AroundCall, Attempt, CallScope, Context, Drift, checked_key
from cabinet_sdk._core.digests import digest_header
from cabinet_sdk._core.flow import Flow, exchange, pause, run
from cabinet_sdk._core.journal import Journal, JournalEntry, recorded
from cabinet_sdk._core.multipart import MultipartBody
from cabinet_sdk._core.operation import Download, Listing, Operation, Repeat
from cabinet_sdk._core.problems import problem_of
from cabinet_sdk._core.redaction import shown_url
from cabinet_sdk._core.request_codec import EncodedRequest, encode_request
from cabinet_sdk._core.retry import LONGEST_WAIT, NOTHING_DONE, may_repeat, nobody_knows, retry_after
from cabinet_sdk._core.wire import Answer, Headers, Request, Response, Timeout
from cabinet_sdk.errors import (
    CabinetError,
    ConnectionFailed,
    DeadlineExceeded,
    JournalFailed,
    KeyReused,
    NetworkError,
    OutcomeUnknown,
    Problem,
    RateLimited,
    StillRunning,
    TokenInvalid,
    UnreadableAnswer,
    UsageError,
)

__all__ = ["Conversation", "answer", "call", "resend", "send"]

P = ParamSpec("P")
T = TypeVar("T")
SeenT = TypeVar("SeenT", CallScope, Attempt)

logger = logging.getLogger("cabinet_sdk")


def call(context: Context, row: Operation[..., Any, T], value: object, *, sent_before: bool = False) -> Flow[T]:
    """Make one call and return its result; see `answer`."""
    return (yield from answer(context, row, value, sent_before=sent_before)).value


def answer(
    context: Context,
    row: Operation[..., Any, T],
    value: object,
    parameters: tuple[tuple[str, str], ...] = (),
    *,
    sent_before: bool = False,
) -> Flow[Answer[T]]:
    """
    Make one call and return its answer.

    Args:
        context: The client's.
        row: Which operation.
        value: Its request.
        parameters: Added to the query by the row's kind.
        sent_before: Whether the operation may have been sent already, under the key that is given.
    """
    encoded = encode_request(row, value)
    conversation = Conversation(context, row, again=lambda view: call(view, row, value, sent_before=True))
    request = conversation.request(encoded, parameters)
    journal = context.journal
    # Not a generator itself: each would cost every call something.
    if journal is None or not row.durable:
        return conversation.scoped(_answer(context, row, conversation, request), sent_before=sent_before)
    entry = JournalEntry(
        base_url=context.base_url,
        client_id=context.sign_in.client_id,
        operation_id=conversation.key or "",
        operation=row.id,
        path=request.url.removeprefix(context.base_url),
        body=encoded.body if isinstance(encoded.body, bytes) else b"",
        created_at=dt.datetime.now(dt.UTC),
    )

    def hold(begun_before: bool) -> Flow[Answer[T]]:  # noqa: FBT001  # what `recorded` tells
        # The hook lies inside: where it fails, the caller does not learn the outcome, and the entry stays open.
        flow = _answer(context, row, conversation, request)
        return conversation.scoped(flow, sent_before=sent_before or begun_before)

    kept = recorded(journal, entry, hold, conversation.remaining, own_id=context.options.key is None)
    return conversation.still_unknown(kept) if sent_before else kept


def resend(
    context: Context, row: Operation[..., Any, T], entry: JournalEntry, journal: Journal | None = None
) -> Flow[Answer[T]]:
    """
    Make the call of an entry of the journal again, under its operation id; whether it was sent nobody knows.

    With a journal the entry is settled there; without one that is the caller's affair.
    """
    view = context.with_key(entry.operation_id)
    conversation = Conversation(view, row, again=lambda _: _resent(context, row, entry))
    encoded = EncodedRequest(
        entry.path, body=entry.body or None, content_type="application/json" if entry.body else None
    )
    request = conversation.request(encoded, ())
    flow = conversation.scoped(_answer(view, row, conversation, request), sent_before=True)
    if journal is None:
        return flow
    # A call of its own, also where the entry serves several.
    own = attrs.evolve(entry)
    return conversation.still_unknown(recorded(journal, own, lambda _: flow, conversation.remaining, own_id=False))


def _resent(context: Context, row: Operation[..., Any, T], entry: JournalEntry) -> Flow[T]:
    return (yield from resend(context, row, entry, context.journal)).value


def _answer(
    context: Context,
    row: Operation[..., Any, T],
    conversation: Conversation,
    request: Request,
) -> Flow[Answer[T]]:
    if isinstance(request.content, MultipartBody) and request.content.repeatable:
        request = yield from _with_digest(request, request.content)
    response = yield from conversation.hold(request)
    try:
        result: T = decode_answer(response, row.response, row.id)
    except UnreadableAnswer as error:
        failure = conversation.unreadable(error)
        raise failure from failure.__cause__
    files = isinstance(row, Download)
    if context.on_drift is not None and not files and (paths := unknown_fields(response.content, row.response)):
        try:
            context.on_drift(Drift(operation=row.id, request_id=conversation.request_id, paths=paths))
        except Exception as error:
            conversation.disbelieve(error)
            raise
    return Answer(
        value=result,
        status=response.status,
        headers=response.headers,
        content=response.content,
        request_id=response.request_id or conversation.request_id,
        operation_id=conversation.key,
        attempts=conversation.attempts,
    )


def _with_digest(request: Request, body: MultipartBody) -> Flow[Request]:
    sha256 = yield from run(body.sha256)
    return attrs.evolve(request, headers=Headers((*request.headers.pairs(), ("content-digest", digest_header(sha256)))))


def send(
    context: Context,
    row: Operation[..., Any, Any],
    value: object,
    headers: tuple[tuple[str, str], ...],
    request_id: str,
) -> Flow[Response]:
    """Make one call whose answer streams, as part of a longer conversation; return it with its body to come."""
    conversation = Conversation(context, row, request_id=request_id)
    request = conversation.request(encode_request(row, value), (), headers)
    return conversation.scoped(conversation.hold(attrs.evolve(request, stream=True)))


def _new_id(context: Context) -> str:
    value = context.new_id()
    # For callers without a type checker.
    if not isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise UsageError(f"new_id() returns text, not {type(value).__name__}")
    if not value or not value.isascii() or not value.isprintable():
        raise UsageError("new_id() returns text that a header can have: one line of ASCII, and not empty")
    return value


def _spent(request: Request) -> bool:
    return not isinstance(request.content, bytes) and request.content.spent


def _refuses(status: int) -> bool:
    return 400 <= status < 500 and status not in NOTHING_DONE


@final
class Conversation:
    """
    One call's attempts: their shared ids, their deadline, and what is known of the outcome so far.

    Args:
        context: The client's.
        row: Which operation.
        request_id: Of the longer conversation that this is a part of.
        again: Makes the call again in a context that has its key.
    """

    def __init__(
        self,
        context: Context,
        row: Operation[..., Any, Any],
        *,
        request_id: str | None = None,
        again: Callable[[Context], Flow[Any]] | None = None,
    ) -> None:
        self._context = context
        self._row = row
        self.request_id = _new_id(context) if request_id is None else request_id
        self.key: str | None = None
        self.attempts = 0
        self._refused = 0
        self._call_again = again
        # Whether nobody knows what became of an attempt before; and whether one went out whose outcome was not judged.
        self._unknown = False
        self._on_its_way = False
        self._sent_before = False
        options = context.options
        self._ends_at = None if options.deadline is None else context.transport.now() + options.deadline

    def request(
        self,
        encoded: EncodedRequest,
        parameters: tuple[tuple[str, str], ...],
        headers: tuple[tuple[str, str], ...] = (),
    ) -> Request:
        """Return the request without what changes from attempt to attempt."""
        context, row = self._context, self._row
        query, page_size = encoded.query + parameters, context.options.page_size
        if page_size is not None and isinstance(row, Listing):
            query += (("limit", str(page_size)),)
        try:
            asked = f"?{urlencode(query)}" if query else ""
        except UnicodeEncodeError:
            asked = None
        if asked is None:
            raise unsendable(query)
        url = f"{context.base_url}{encoded.path}{asked}"
        accepted = "*/*" if isinstance(row, Download) else "application/json"
        fields = [("accept", accepted), ("x-request-id", self.request_id), *headers, *context.options.headers]
        if encoded.content_type is not None:
            fields.append(("content-type", encoded.content_type))
        given = context.options.key
        if given is not None and row.repeat is Repeat.NEVER:
            raise UsageError(f"{row.id} takes no idempotency key: it would happen as often as it is sent")
        if row.repeat is Repeat.KEYED:
            self.key = given.take() if given is not None else checked_key(context.new_id())
            # A structured field string, as the draft of the header demands.
            fields.append(("idempotency-key", f'"{self.key}"'))
        return Request(method=row.method, url=url, headers=Headers(fields), content=encoded.body or b"")

    def scoped(self, flow: Flow[T], *, sent_before: bool = False) -> Flow[T]:
        """Hold the flow inside the hook around each call, if any; `sent_before`: by an earlier call under this key."""
        self._unknown = self._sent_before = sent_before
        around = self._context.around_call
        return flow if around is None else self._scoped(around, flow)

    def _scoped(self, around: AroundCall, flow: Flow[T]) -> Flow[T]:
        scope = CallScope(operation=self._row.id, base_url=self._context.base_url, request_id=self.request_id)
        return (yield from self._within(around, scope, flow))

    def _within(self, hook: Callable[[SeenT], AbstractContextManager[object]], seen: SeenT, flow: Flow[T]) -> Flow[T]:
        """Hold a flow inside a hook, which is told of an error and can neither swallow nor replace it."""
        failure: BaseException | None = None
        try:
            around = hook(seen)
            # A hook is anybody's, and what it returns the program's affair.
            if not isinstance(around, AbstractContextManager):  # pyright: ignore[reportUnnecessaryIsInstance]
                given = type(around).__name__
                raise UsageError(f"a hook returns a context manager (@contextmanager makes one), not {given}")
            with around:
                try:
                    return (yield from flow)
                except BaseException as error:  # noqa: BLE001  # it is raised below, interrupts and cancellations too
                    seen.error = failure = error
        except Exception as error:
            if failure is None:
                self.disbelieve(error)
                raise
            logger.exception("a hook failed when it was told of an error")
        raise failure

    def disbelieve(self, error: Exception) -> None:
        """
        Look at an error that a hook raised: whatever its class, it does not tell what the service did.

        Raises:
            OutcomeUnknown: It would be taken for an outcome, of a change that was sent.
        """
        if isinstance(error, CabinetError | UsageError) and (self._unknown or self._on_its_way):
            said = error.message if isinstance(error, CabinetError) else str(error)
            reason = f"a hook raised {type(error).__name__}: {said}"
            raise self._nobody_knows(reason) from error

    def hold(self, request: Request) -> Flow[Response]:
        """Send with a token until the answer is good or final."""
        sign_in, now = self._context.sign_in, self._context.transport.now
        renewed = False
        try:
            while True:
                authorization = sign_in.current(now())
                if authorization is None:
                    try:
                        authorization = yield from sign_in.renew(self._send_for_token, now, self.remaining)
                    except CabinetError as error:
                        failure = self.unsettled(error)
                        raise failure from failure.__cause__
                    renewed = True
                fields = () if authorization is None else (("authorization", authorization),)
                try:
                    return (yield from self._attempts(request, fields, self._row.id, self._row.repeat))
                except TokenInvalid as error:
                    if authorization is not None:
                        sign_in.refused(authorization)
                    if renewed or not sign_in.renewable or _spent(request):
                        failure = self.unsettled(error)
                        raise failure from failure.__cause__
        except CabinetError:
            raise
        except Exception as error:
            # The client was closed meanwhile, or a hook failed: that does not undo what an earlier attempt sent.
            if self._sent_before or not self._unknown:
                raise
            reason = str(error) if isinstance(error, UsageError) else type(error).__name__
            raise self._nobody_knows(reason) from error

    def _send_for_token(self, request: Request) -> Flow[Response]:
        """Send without a token, within the same deadline: fetching a token may be repeated."""
        fields = (("x-request-id", self.request_id),)
        return (yield from self._attempts(request, fields, "sign_in.token", Repeat.SAFE, accept_refusal=True))

    def _attempts(
        self,
        request: Request,
        fields: tuple[tuple[str, str], ...],
        operation: str,
        repeat: Repeat,
        *,
        accept_refusal: bool = False,
    ) -> Flow[Response]:
        context = self._context
        number = 0
        while True:
            number += 1
            # Tokens are not counted against it.
            if context.allowance.limited and not accept_refusal:
                yield from self._wait_for_room()
            # A token has attempts of its own.
            before = 0 if accept_refusal else self._refused
            if not accept_refusal:
                self.attempts = before + number
            outcome = yield from self._attempt(self._complete(request, fields), operation, before + number, repeat)
            if isinstance(outcome, Response) and (
                outcome.status < 300 or (accept_refusal and _refuses(outcome.status))
            ):
                context.budget.give(number - 1)
                return outcome
            error, wait, again = self._judged(outcome, operation, repeat)
            if isinstance(error, TokenInvalid) and error.status == TokenInvalid.status:
                self._refused = before + number
                raise error
            if not again or number >= context.retry.attempts or _spent(request):
                raise self.unsettled(error)
            remaining = self.remaining()
            left = LONGEST_WAIT if remaining is None else min(LONGEST_WAIT, remaining)
            # A random part also after what was asked for, lest all that failed together come back together. Of what the
            # deadline leaves half is for the attempt.
            room = math.inf if wait is None else max(0.0, (left - wait) / 2)
            delay = (wait or 0.0) + context.retry.jittered_delay(number, context.random(), room)
            if delay > LONGEST_WAIT or (remaining is not None and delay >= remaining):
                raise self.unsettled(self._too_late(error) if isinstance(error, NetworkError) else error)
            if not context.budget.take():
                raise self.unsettled(error)
            if delay > 0:
                yield from pause(delay)

    def _wait_for_room(self) -> Flow[None]:
        """Wait until the service's allowance has room for an attempt; fail at once where that is too late."""
        allowance, now = self._context.allowance, self._context.transport.now
        while (seconds := allowance.take(now())) > 0:
            remaining = self.remaining()
            if remaining is not None and seconds >= remaining:
                message = f"The service allows the next request in {seconds:.3g} s; this one was not sent."
                raise self.unsettled(RateLimited(message, retry_after=seconds, operation=self._row.id))
            before = now()
            yield from pause(seconds)
            if now() <= before:
                # A fake that neither waits nor moves its clock: let the service decide.
                return

    def _complete(self, request: Request, fields: tuple[tuple[str, str], ...]) -> Request:
        """Return the request with further headers and with what remains of the deadline."""
        remaining = self.remaining()
        if remaining is not None and remaining <= 0:
            raise self.unsettled(self._too_late())
        limits = self._context.options.timeout
        total = limits.total
        # A file on its way takes as long as it takes: its idle limit bounds it, and a total that somebody asked for.
        if remaining is not None and isinstance(request.content, bytes):
            total = remaining if total is None else min(total, remaining)
        # Each attempt makes one, and `evolve` takes four times as long.
        timeout = Timeout(connect=limits.connect, idle=limits.idle, total=total)
        return attrs.evolve(request, headers=Headers((*request.headers.pairs(), *fields)), timeout=timeout)

    def _judged(
        self, outcome: Response | NetworkError, operation: str, repeat: Repeat
    ) -> tuple[CabinetError, float | None, bool]:
        """Return what a failed attempt stands for, how long the service asks to wait, and whether to repeat it."""
        changes = repeat is not Repeat.SAFE
        self._on_its_way = False
        if isinstance(outcome, NetworkError):
            self._unknown = self._unknown or (changes and outcome.sent)
            remaining = self.remaining()
            if remaining is not None and remaining <= 0:
                return self._too_late(outcome), None, False
            return outcome, None, may_repeat(repeat, outcome, None)
        wait = retry_after(outcome.headers)
        problem = problem_of(outcome, operation, wait)
        # A page of a gateway has no code.
        code = None if problem.code == Problem.code else problem.code
        self._unknown = self._unknown or (changes and nobody_knows(outcome.status, code))
        return problem, wait, may_repeat(repeat, outcome.status, code)

    def _attempt(
        self,
        request: Request,
        operation: str,
        number: int,
        repeat: Repeat,
    ) -> Flow[Response | NetworkError]:
        context = self._context
        attempt = Attempt(
            operation=operation,
            method=request.method,
            url=shown_url(request.url) if context.around_attempt or logger.isEnabledFor(logging.DEBUG) else "",
            number=number,
            request_id=self.request_id,
        )
        flow = self._exchanged(request, attempt, changes=repeat is not Repeat.SAFE)
        hook = context.around_attempt
        outcome = yield from (flow if hook is None else self._within(hook, attempt, flow))
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug(
                "%s attempt %d: %s %s -> %s in %.3f s, request id %s",
                operation,
                number,
                attempt.method,
                attempt.url,
                attempt.status or type(attempt.error).__name__,
                attempt.seconds,
                self.request_id,
            )
        if isinstance(outcome, UnreadableAnswer):
            failure = self.unsettled(outcome) if repeat is Repeat.SAFE else self.unreadable(outcome)
            raise failure from failure.__cause__
        return outcome

    def _exchanged(
        self, request: Request, attempt: Attempt, *, changes: bool
    ) -> Flow[Response | NetworkError | UnreadableAnswer]:
        """Send, and note on the attempt what came of it."""
        context = self._context
        if attempt.added_headers:
            added = dict(attempt.added_headers)
            kept = (pair for pair in request.headers.pairs() if pair[0] not in added)
            request = attrs.evolve(request, headers=Headers((*kept, *added.items())))
        started = context.transport.now()
        self._on_its_way = changes
        try:
            response = yield from exchange(request)
            attempt.status = response.status
            if "ratelimit" in response.headers and attempt.operation == self._row.id:
                context.allowance.learn(response, context.transport.now())
        except (NetworkError, UnreadableAnswer) as error:
            error.request_id, error.operation = self.request_id, attempt.operation
            attempt.status = error.status if isinstance(error, UnreadableAnswer) else None
            attempt.error = error
            return error
        except Exception as error:
            # A transport that breaks its rules may have sent the change; one that cannot send says `UsageError`.
            if isinstance(error, UsageError):
                self._on_its_way = False
            elif changes:
                raise self._nobody_knows(f"the transport raised {type(error).__name__}") from error
            elif self._row.repeat is not Repeat.SAFE:
                # It was after a token, so that the change was not sent and no journal may keep it to be sent later.
                message = f"The transport raised {type(error).__name__} when it was to fetch a token."
                raise ConnectionFailed(message, operation=attempt.operation) from error
            raise
        else:
            return response
        finally:
            attempt.seconds = context.transport.now() - started

    def unsettled(self, error: CabinetError) -> CabinetError:
        """Return the error to raise: `OutcomeUnknown` where a change was sent and this error does not settle it."""
        error.request_id = error.request_id or self.request_id
        if isinstance(error, OutcomeUnknown) or not self._unknown or self._settled(error):
            return error
        unknown = self._nobody_knows(error.message)
        unknown.__cause__ = error
        return unknown

    def still_unknown(self, flow: Flow[T]) -> Flow[T]:
        """Hold the flow of a call that repeats an earlier one: that the journal refuses it undoes nothing of that."""
        try:
            return (yield from flow)
        except (JournalFailed, StillRunning) as error:
            raise self._nobody_knows(error.message) from error

    def _nobody_knows(self, reason: str) -> OutcomeUnknown:
        kept = self._context.journal is not None and self._row.durable
        advice = " It stays in the journal: resume() brings it to its outcome too." if kept else ""
        return OutcomeUnknown(
            # A program's own errors end without a full stop.
            f"Nobody can know whether {self._row.id} happened: {reason.removesuffix('.')}.{advice}",
            operation_id=self.key or self.request_id,
            request_id=self.request_id,
            operation=self._row.id,
            again=self._again(),
            keyed=self.key is not None,
        )

    def _settled(self, error: CabinetError) -> bool:
        """
        Say whether the service itself tells by this error what became of the operation.

        That do its own problems and `KeyReused`: they come after the key was looked up. All others come before, of
        another version of the service perhaps than the one that did it, or from something between.
        """
        return (
            isinstance(error, Problem)
            and type(error) in {*self._row.errors, KeyReused}
            and error.status == type(error).status
            and error.operation == self._row.id
        )

    def unreadable(self, error: UnreadableAnswer) -> CabinetError:
        """Return the error to raise for an answer that cannot be read: whatever was asked may have been done."""
        self._unknown = self._unknown or self._row.repeat is not Repeat.SAFE
        return self.unsettled(error)

    def _again(self) -> Callable[[], Any] | None:  # Any: the operation's result, or an awaitable of it
        """Return what makes the call again under its key; None where it has none."""
        context, key, again = self._context, self.key, self._call_again
        if key is None or again is None:
            return None
        return lambda: context.perform(again(context.with_key(key)))

    def remaining(self) -> float | None:
        """Return the seconds that are left until the deadline."""
        return None if self._ends_at is None else self._ends_at - self._context.transport.now()

    def _too_late(self, cause: CabinetError | None = None) -> DeadlineExceeded:
        allowed = self._context.options.deadline
        last = f" The last attempt: {cause.message}" if cause is not None else ""
        error = DeadlineExceeded(
            f"The call took longer than its deadline of {allowed} s.{last}", operation=self._row.id
        )
        error.__cause__ = cause
        return error
