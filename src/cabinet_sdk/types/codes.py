"""Open sets of codes: strings with names and Russian labels, where a code nobody heard of yet survives."""

from __future__ import annotations

import re
from typing import Any, ClassVar, Final, Self, TypeVar, final

from cabinet_sdk.errors import InvalidValue
from cabinet_sdk.types.kinds import check_kind

__all__ = ["Code", "Member", "code"]

_form: Final = re.compile(r"[a-z][a-z0-9_]*").fullmatch
_C = TypeVar("_C", bound="Code")


@final
class Member:
    """A code as declared in the body of its class; what reads it there is the code itself."""

    __slots__ = ("label",)

    def __init__(self, label: str) -> None:
        self.label: str = label

    def __get__(self, instance: object, owner: type[_C]) -> _C:
        # The class replaces every declaration by its code, so only a foreign class ever gets here.
        msg = f"a code is declared in a subclass of Code, not in {owner.__qualname__}"
        raise TypeError(msg)


def code(label: str) -> Member:
    """Declare a code by its Russian label; on the wire it is the attribute's name in lower case."""
    return Member(label)


class Code(str):
    """
    Base of an open set of codes.

    ::

        class ChargeStatus(Code):
            \"\"\"State of a charge.\"\"\"

            NOT_PAID = code("Не оплачен")
            PAID = code("Оплачен")

    Each is a `str` (``"paid"``) that compares, hashes, prints and encodes as such. It is no `enum.Enum`, since the
    service may add codes: ``ChargeStatus("brand_new")`` is a code too, not `known`, and goes back to the wire
    unchanged. So a ``match`` needs a ``case _:``.

    Raises:
        InvalidValue: With the rule ``form``, for what is not ASCII ``snake_case``.
        TypeError: For anything but text.
    """

    __slots__ = ()

    _members: ClassVar[dict[str, Any]] = {}  # Any: instances of the very class, which a ClassVar cannot say
    _labels: ClassVar[dict[str, str]] = {}

    def __new__(cls, text: str) -> Self:
        """Take any code that could be one."""
        check_kind(text, str, f"{cls.__name__} takes text")
        if text not in cls._members and _form(text) is None:
            raise InvalidValue(cls.__name__, "form", "a code in ASCII snake_case", text)
        return cls.trusted(text)

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if cls._members:  # Still the parent's.
            msg = f"{cls.__qualname__} cannot extend a class that has codes already"
            raise TypeError(msg)
        declared = {name: value.label for name, value in vars(cls).items() if isinstance(value, Member)}
        cls._members, cls._labels = {}, {}
        for name, label in declared.items():
            text = name.lower()
            if name != text.upper() or _form(text) is None:
                msg = f"{cls.__qualname__}.{name}: a code is named in ASCII UPPER_CASE"
                raise TypeError(msg)
            member = str.__new__(cls, text)
            cls._members[text], cls._labels[text] = member, label
            setattr(cls, name, member)

    @classmethod
    def members(cls) -> tuple[Self, ...]:
        """Return the known codes in the order of their declaration."""
        return tuple(cls._members.values())

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Read a code that must be known, as where a person or a program gives one to the service.

        Raises:
            InvalidValue: With the rule ``unknown_code``; what was expected names them all.
            TypeError: For anything but text.
        """
        check_kind(text, str, f"{cls.__name__} takes text")
        if text not in cls._members:
            raise InvalidValue(cls.__name__, "unknown_code", f"one of {', '.join(cls._members)}", text)
        return cls.trusted(text)

    @classmethod
    def trusted(cls, text: str) -> Self:
        """Take a code as the service sent it, without any check."""
        return cls._members.get(text) or str.__new__(cls, text)

    @property
    def known(self) -> bool:
        """Whether this version of the SDK knows the code."""
        return self in self._members

    @property
    def label(self) -> str:
        """The Russian label; of an unknown code, the code itself."""
        return self._labels.get(self) or str(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}.{self.upper()}" if self.known else f"{type(self).__name__}({str(self)!r})"

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return type(self).trusted, (str(self),)
