"""
Everything that can go wrong, one class a reason, split by who must act.

::

    CabinetError
    ├── InvalidValue            the caller: a value breaks a rule; nothing was sent
    ├── Problem                 the service answered that it will not
    │   ├── CallerError         the caller: the request is wrong
    │   │   ├── InvalidRequest  … with the fields that are
    │   │   └── …               (NotFound and its areas' kin, UnknownOperation, KeyReused, …)
    │   ├── RightsError         whoever grants rights: sign in, or ask for the permission
    │   ├── StateError          nobody is wrong: the thing's state or a rule forbids it now
    │   └── ServiceError        the service: try later, or tell its support
    │       └── UnreadableAnswer    what came is not what the contract says
    ├── NetworkError            the network: nothing readable came back
    │   ├── ConnectionFailed    … and nothing was sent
    │   ├── ConnectionLost
    │   └── TimedOut
    ├── DeadlineExceeded        the time you allowed ran out
    ├── JournalFailed           the journal cannot keep the operation; nothing was sent
    └── OutcomeUnknown          a change may or may not have happened: reconcile

    UsageError                  a mistake in the program, outside the tree (RuntimeError)

Client and server share the classes: the server raises them, the client gets the same class back. Every error pickles
and copies, and its text never holds a secret or a whole personal value: those are attributes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Generic, Self, TypeVar, final, overload

import attrs

__all__ = [
    "CabinetError",
    "CallerError",
    "ConnectionFailed",
    "ConnectionLost",
    "DeadlineExceeded",
    "FieldError",
    "FileChanged",
    "InternalError",
    "InvalidRequest",
    "InvalidValue",
    "JournalFailed",
    "KeyMissing",
    "KeyReused",
    "MalformedRequest",
    "Member",
    "MethodNotAllowed",
    "MisdirectedRequest",
    "NetworkError",
    "NotAcceptable",
    "NotFound",
    "OutcomeUnknown",
    "PermissionMissing",
    "Problem",
    "RangeNotSatisfiable",
    "RateLimited",
    "RequestTooLarge",
    "RightsError",
    "ServiceError",
    "ServiceUnavailable",
    "SignInRefused",
    "SignInRequired",
    "StateError",
    "StillRunning",
    "TimedOut",
    "TokenInvalid",
    "UnknownOperation",
    "UnreadableAnswer",
    "UnsupportedMediaType",
    "UsageError",
    "catalogue",
    "mask",
]


T = TypeVar("T")


def mask(value: str) -> str:
    """Hide a value so that its owner may recognise it and nobody else use it: two characters at each end at most."""
    # What cannot be printed could not be written down either, or would steer a terminal.
    shown = min(2, len(value) // 4) if value.isprintable() else 0
    return f"{value[:shown]}…{value[len(value) - shown :]}" if shown else "…"


class UsageError(RuntimeError):
    """The program uses the SDK in a way that cannot work, such as calling a closed client."""


class CabinetError(Exception):
    """Base of all that can go wrong in a call."""

    remedy: str = ""
    """What the reader can do about it, one sentence."""

    _unpickled: ClassVar[frozenset[str]] = frozenset()
    # Attributes that stay in this process: whole personal values, and what only works here.

    def __init__(self, message: str, *, request_id: str | None = None, operation: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.request_id = request_id
        self.operation = operation

    def __str__(self) -> str:
        facts = ", ".join(
            f"{name} {value}"
            for name, value in (("operation", self.operation), ("request id", self.request_id))
            if value is not None
        )
        return " ".join(part for part in (self._said(), self.remedy, f"({facts})" if facts else "") if part)

    def _said(self) -> str:
        return self.message

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self}>"

    def __reduce__(self) -> tuple[Callable[..., CabinetError], tuple[object, ...]]:
        state = {name: value for name, value in self.__dict__.items() if name not in self._unpickled}
        return _restore, (type(self), self.args, state)

    def __copy__(self) -> CabinetError:
        return _restore(type(self), self.args, self.__dict__)

    def __deepcopy__(self, memo: object) -> CabinetError:
        return self.__copy__()


def _restore(cls: type[CabinetError], args: tuple[object, ...], state: Mapping[str, object]) -> CabinetError:
    error = cls.__new__(cls, *args)
    # OSError, of which TimeoutError is one, keeps its arguments in `__init__`, which is not run here.
    error.args = args
    error.__dict__.update(state)
    return error


@final
class InvalidValue(CabinetError, ValueError):
    """
    A value breaks a rule of its kind; nothing was sent.

    Attributes:
        kind: What the value was to be, such as ``Inn``.
        rule: The rule it breaks, a code such as ``check_digit``.
        expected: What would be right.
        value: The whole value. It is left out of the text and does not travel with a pickle.
    """

    _unpickled = frozenset({"value"})
    value: str | None = None

    def __init__(self, kind: str, rule: str, expected: str, value: str, *, personal: bool = True) -> None:
        super().__init__(f"{kind}: expected {expected}, got {mask(value) if personal else value} (rule {rule}).")
        self.kind = kind
        self.rule = rule
        self.expected = expected
        self.value = value


@final
@attrs.frozen
class FieldError:
    """
    What is wrong with one field of a request.

    Attributes:
        field: Path of the field, such as ``items[2].amount``.
        code: The rule it breaks, ASCII ``snake_case``.
        message: What was expected and what came, masked.
    """

    field: str
    code: str
    message: str


@final
class Member(Generic[T]):
    """
    A member of a problem document as an attribute of its error, typed.

    It is None where the document lacks the member or has it in a form that cannot be read, as RFC 9457 asks.

    Args:
        read: Makes the value of its text; `str()` of the value is that text.
    """

    def __init__(self, read: Callable[[str], T]) -> None:
        self._read = read
        self._name = ""

    def __set_name__(self, owner: type[Problem], name: str) -> None:
        self._name = name

    @overload
    def __get__(self, error: None, owner: type[Problem]) -> Self: ...
    @overload
    def __get__(self, error: Problem, owner: type[Problem]) -> T | None: ...
    def __get__(self, error: Problem | None, owner: type[Problem]) -> Self | T | None:
        if error is None:
            return self
        text = error.members.get(self._name)
        try:
            return None if text is None else self._read(text)
        except ValueError:
            return None


_CATALOGUE: dict[str, type[Problem]] = {}


class Problem(CabinetError):
    """
    The service answered with a problem document (RFC 9457).

    Attributes:
        code: The reason, stable: ``charges.nothing_due``.
        status: The HTTP status.
        errors: The fields that are wrong, in the order of the request.
        retry_after: Seconds after which the service asks to try again.
        members: Further members of the document, text by name; a class that has some declares each as a `Member`.
    """

    code: str = "unknown"
    status: int = 500
    title: ClassVar[str] = "The service refused the request."

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "code" in cls.__dict__:
            other = _CATALOGUE.setdefault(cls.code, cls)
            if other is not cls:
                msg = f"the code {cls.code!r} belongs to {other.__qualname__} already, {cls.__qualname__} needs its own"
                raise TypeError(msg)

    def __init__(
        self,
        detail: str | None = None,
        *,
        errors: tuple[FieldError, ...] = (),
        members: Mapping[str, object] | None = None,
        retry_after: float | None = None,
        code: str | None = None,
        status: int | None = None,
        request_id: str | None = None,
        operation: str | None = None,
    ) -> None:
        super().__init__(detail or self.title, request_id=request_id, operation=operation)
        self.errors = errors
        self.members: Mapping[str, str] = {name: str(value) for name, value in (members or {}).items()}
        self.retry_after = retry_after
        if code is not None:
            self.code = code
        if status is not None:
            self.status = status

    def __str__(self) -> str:
        return f"[{self.code}] {super().__str__()}"

    def _said(self) -> str:
        fields = "; ".join(f"{error.field}: {error.message.rstrip('.')}" for error in self.errors)
        return f"{self.message} {fields}." if fields else self.message


class CallerError(Problem):
    """The request is wrong: sending it again unchanged cannot help."""

    status = 400
    title = "The request is wrong."


class RightsError(Problem):
    """The caller is not known, or may not do this."""

    status = 403
    title = "The caller may not do this."


class StateError(Problem):
    """The request is right, but the thing's state or a rule forbids it now."""

    status = 409
    title = "The state of the thing forbids this."


class ServiceError(Problem):
    """The service failed or cannot serve now."""

    status = 500
    title = "The service failed."
    remedy = "Quote the request id to the service's support if it goes on."


class InvalidRequest(CallerError):
    """Fields of the request break the contract; `errors` names each."""

    code = "request.invalid"
    title = "Fields of the request are wrong."
    remedy = "Mend the named fields."


class MalformedRequest(CallerError):
    """The request cannot be read at all: not JSON, not UTF-8, nested too deep, a key given twice, no whole form."""

    code = "request.malformed"
    title = "The request cannot be read."
    remedy = "Send what the operation takes: one JSON object in UTF-8, each key once, or a whole multipart form."


class NotFound(CallerError):
    """The thing is not there, or not this profile's: the two cannot be told apart."""

    status = 404
    title = "There is no such thing in this profile."
    remedy = "Check the id and the profile you act as."


class UnknownOperation(NotFound):
    """No operation has this path."""

    code = "request.unknown_operation"
    title = "No operation has this path."
    remedy = "Compare the address with the reference of operations."


class MethodNotAllowed(CallerError):
    """
    The path exists, this method does not; the header `Allow` names those that do.

    Attributes:
        allow: The methods that do, with commas.
    """

    code = "request.method_not_allowed"
    status = 405
    title = "The path does not take this method."
    remedy = "Use a method that the header Allow names."

    allow: Member[str] = Member(str)


class MisdirectedRequest(CallerError):
    """The request names a host that the service does not answer for."""

    code = "request.misdirected"
    status = 421
    title = "The service does not answer for the host that the request names."
    remedy = "Name the service as it was started: on this machine alone by localhost or a loopback address."


class NotAcceptable(CallerError):
    """The caller accepts none of the formats the service can answer in."""

    code = "request.not_acceptable"
    status = 406
    title = "The service cannot answer in the format asked for."
    remedy = "Accept application/json."


class RequestTooLarge(CallerError):
    """The request is larger than the service takes."""

    code = "request.too_large"
    status = 413
    title = "The request is too large."
    remedy = "Send less at once."


class RangeNotSatisfiable(CallerError):
    """
    The file has no such part as was asked for, or too many were.

    Attributes:
        content_range: It says the file's length, such as ``bytes */1000``.
    """

    code = "request.range_not_satisfiable"
    status = 416
    title = "The file has no such part."
    remedy = "Ask for one part that the file has."

    content_range: Member[str] = Member(str)


class UnsupportedMediaType(CallerError):
    """The body has a format or an encoding that the operation does not take."""

    code = "request.unsupported_media_type"
    status = 415
    title = "The body has a format that the operation does not take."
    remedy = "Send application/json, not compressed."


class KeyMissing(CallerError):
    """The operation changes something and demands the header `Idempotency-Key`."""

    code = "idempotency.key_missing"
    title = "The operation demands the header Idempotency-Key."
    remedy = "Send a key of your own making, the same one each time you repeat this call."


class KeyReused(CallerError):
    """The idempotency key served another request before; that one stands untouched."""

    code = "idempotency.key_reused"
    status = 422
    title = "The idempotency key belongs to another request."
    remedy = "Use a new key for a new request."


class StillRunning(StateError):
    """The first request with this idempotency key is being carried out; its result will be the same for both."""

    code = "idempotency.still_running"
    title = "The first request with this key is still being carried out."
    remedy = "Repeat the request unchanged a little later."


class FileChanged(StateError):
    """
    The file became another one while it was read; parts of both are not joined.

    The client raises it; the service answers it where `If-Match` names another file.
    """

    code = "download.file_changed"
    status = 412
    title = "The file changed while it was being downloaded."
    remedy = "Download it again from the beginning."


class SignInRequired(RightsError):
    """The request carries no token."""

    code = "sign_in.required"
    status = 401
    title = "The request carries no token."
    remedy = "Give the client credentials or a token."


class TokenInvalid(RightsError):
    """The token is unknown, expired or revoked."""

    code = "sign_in.token_invalid"
    status = 401
    title = "The token is unknown, expired or revoked."
    remedy = "Sign in again."


class SignInRefused(RightsError):
    """
    The token endpoint refused the credentials.

    Attributes:
        error: Its OAuth 2.0 code, such as ``invalid_client``.
    """

    code = "sign_in.refused"
    status = 401
    title = "The credentials were refused."
    remedy = "Check the client id and the secret."

    error: Member[str] = Member(str)


class PermissionMissing(RightsError):
    """
    The token is good but lacks the permission that the operation needs.

    Attributes:
        permission: Its code, such as ``charges.pay``.
    """

    code = "permission.missing"
    status = 403
    title = "The token lacks the permission that the operation needs."
    remedy = "Ask the profile's administrator for the permission."

    permission: Member[str] = Member(str)


class RateLimited(ServiceError):
    """Too many requests in the window; `retry_after` says when the next is welcome."""

    code = "service.rate_limited"
    status = 429
    title = "Too many requests."
    remedy = "Wait as long as retry_after says, and send less at once."


class ServiceUnavailable(ServiceError):
    """The service cannot serve now and did nothing."""

    code = "service.unavailable"
    status = 503
    title = "The service is unavailable. «Сервис недоступен»"
    remedy = "Try again later."


class InternalError(ServiceError):
    """The service has a fault. What the request changed, if anything, is undone by it or unknown."""

    code = "service.internal_error"
    status = 500
    title = "The service has a fault."


class UnreadableAnswer(ServiceError):
    """
    What came is not an answer of this contract: HTML from a proxy, an empty body, half a document, a wrong type.

    Attributes:
        path: The place in the JSON where it is known, such as ``$[3].amount``.
    """

    code = "service.unreadable_answer"
    status = 502
    title = "The answer cannot be read."
    remedy = "Check the base URL and what stands between you and the service; quote the request id to its support."

    path: Member[str] = Member(str)


class NetworkError(CabinetError):
    """Nothing readable came back from the service."""

    sent: bool = True
    """Whether a byte of the request may have reached the service."""
    remedy = "Check the network and the base URL, then try again."


class ConnectionFailed(NetworkError):
    """No connection was made (refused, name unknown, certificate not trusted); nothing was sent."""

    sent = False


class ConnectionLost(NetworkError):
    """The connection broke before the whole answer came."""


class TimedOut(NetworkError):
    """The service said nothing for longer than the timeout of one attempt."""


@final
class DeadlineExceeded(CabinetError, TimeoutError):
    """The deadline of the call ran out; a change was either not sent or known not to have happened."""

    remedy = "Allow more time (deadline of with_options(), timeout of a method that waits), or try again later."


@final
class JournalFailed(CabinetError):
    """The client's journal cannot be read or written: a full disk, a missing right, a newer file. Nothing was sent."""

    remedy: str = "Make room for the journal, or see to the rights and the place of its file, and call again."

    def __init__(
        self,
        message: str,
        *,
        remedy: str | None = None,
        request_id: str | None = None,
        operation: str | None = None,
    ) -> None:
        super().__init__(message, request_id=request_id, operation=operation)
        if remedy is not None:
            self.remedy = remedy


@final
class OutcomeUnknown(CabinetError):
    """
    A change was sent and nobody can know whether it happened.

    Attributes:
        operation_id: The id under which the service knows the change, if it got there; without a key the request id.
        keyed: Whether the id was sent as its key, so that the change cannot happen twice. All operations do, so far.

    `reconcile` brings the change to its single outcome. The same from another process, also after the error was
    pickled: repeat the call with ``client.with_options(idempotency_key=error.operation_id)``. A change without a key
    would happen again: look it up.
    """

    remedy: str = (
        "Call reconcile(), or repeat the call with the operation id as its idempotency key: it cannot happen twice."
    )
    _unpickled = frozenset({"_again"})
    _again: Callable[[], Any] | None = None  # Any: the result of whichever operation it was, awaitable in async

    def __init__(
        self,
        message: str,
        *,
        operation_id: str,
        request_id: str | None = None,
        operation: str | None = None,
        again: Callable[[], Any] | None = None,
        keyed: bool = True,
    ) -> None:
        super().__init__(f"{message} Operation id {operation_id}.", request_id=request_id, operation=operation)
        self.operation_id = operation_id
        self.keyed = keyed
        if not keyed:
            self.remedy = (
                "Look the thing up, and do not repeat the call blindly: no key is sent, so it can happen twice."
            )
        self._again = again

    def reconcile(self) -> Any:  # Any: see _again
        """
        Send the same change under the same operation id; return its result as the call would have (awaitable in async).

        It cannot happen twice, so it may be repeated as often as needed.

        Raises:
            UsageError: The error came out of a pickle, or the operation takes no key.
            OutcomeUnknown: Still nobody knows.
        """
        if self._again is None:
            advice = (
                "it was pickled, or made without its call: repeat that with_options(idempotency_key=error.operation_id)"
                if self.keyed
                else "no key is sent with it, so it can happen twice: look the thing up"
            )
            msg = f"this error cannot repeat its call; {advice}"
            raise UsageError(msg)
        return self._again()


def catalogue() -> tuple[type[Problem], ...]:
    """Return every problem class that is loaded, in the order of their codes."""
    return tuple(_CATALOGUE[code] for code in sorted(_CATALOGUE))
