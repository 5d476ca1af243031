"""What methods say about themselves while the program runs."""

from __future__ import annotations

import importlib.util
import inspect
import pydoc
import rlcompleter
import typing
from collections.abc import Callable
from functools import cached_property
from typing import Any

import pytest

from cabinet_sdk import AsyncCabinet, AsyncPages, Cabinet, Pages
from cabinet_sdk._core.area import Area
from cabinet_sdk._core.operation import Listing, Operation
from cabinet_sdk.charges import AsyncCharges, Charges, ChargeStatus, Payment, PaymentId
from reference_server import World
from reference_server.testing import BASE_URL, connect, connect_async
from tests.house.rows import endpoints

AREAS: list[tuple[type[Area[Any]], bool]] = [(Charges, False), (AsyncCharges, True)]
"""Every area's two classes; the second of each is async."""

METHODS = [
    pytest.param(methods, name, asynchronous, id=f"{methods.__name__}.{name}")
    for methods, asynchronous in AREAS
    for name in endpoints(methods)
]

each_method = pytest.mark.parametrize("methods, name, asynchronous", METHODS)


def found(methods: type[Area[Any]], name: str) -> Callable[..., Any]:
    """Return a method as its class gives it."""
    function: Callable[..., Any] = getattr(methods, name)
    return function


def test_every_area_is_looked_at() -> None:
    """The list above holds the class of every area that a client has, in both modes."""
    areas = [name for name, value in vars(Cabinet).items() if isinstance(value, cached_property)]

    assert [type(getattr(client, area)) for area in areas for client in clients()] == [area for area, _ in AREAS]


@each_method
def test_a_method_is_a_plain_function_of_its_class(methods: type[Area[Any]], name: str, *, asynchronous: bool) -> None:
    """It has the names of the class that it is asked of, is made once, and is an `async def` where it must be awaited."""
    function = found(methods, name)
    listing = isinstance(endpoints(methods)[name].source, Listing)

    assert inspect.isfunction(function)
    assert function is found(methods, name)
    assert function.__name__ == name
    assert function.__qualname__ == f"{methods.__name__}.{name}"
    assert function.__module__ == methods.__module__
    assert inspect.iscoroutinefunction(function) is (asynchronous and not listing)


@each_method
def test_a_signature_holds_types_and_no_text(methods: type[Area[Any]], name: str, *, asynchronous: bool) -> None:
    """Parameters are those of the request class or the flow, with real types; the result is that of the mode."""
    source = endpoints(methods)[name].source
    signature = inspect.signature(found(methods, name))
    self_, *parameters = signature.parameters.values()

    assert self_.name == "self"
    if isinstance(source, Operation):
        hints = typing.get_type_hints(source.request_class)
        expected = list(inspect.signature(source.request_class).parameters.values())
        result: Any = source.response
        if isinstance(source, Listing):
            item = typing.get_args(source.response)[0]
            result = AsyncPages[item] if asynchronous else Pages[item]
    else:
        hints = typing.get_type_hints(source)
        expected = list(inspect.signature(source).parameters.values())[1:]
        result = typing.get_args(hints["return"])[2]
    assert [(each.name, each.kind, each.default) for each in parameters] == [
        (each.name, each.kind, each.default) for each in expected
    ]
    assert [each.annotation for each in parameters] == [hints[each.name] for each in expected]
    assert signature.return_annotation == result


@each_method
def test_annotations_are_those_of_the_signature(methods: type[Area[Any]], name: str, *, asynchronous: bool) -> None:
    """Whoever reads annotations instead of the signature, as `typing.get_type_hints` does, learns the same."""
    function = found(methods, name)
    signature = inspect.signature(function)

    expected = {each.name: each.annotation for each in signature.parameters.values() if each.name != "self"}
    assert typing.get_type_hints(function) == {**expected, "return": signature.return_annotation}
    assert asynchronous in {True, False}


@each_method
def test_help_says_what_the_operation_does(methods: type[Area[Any]], name: str, *, asynchronous: bool) -> None:
    """Help shows the name with its parameters, the docstring of the request class, and what may be raised."""
    source = endpoints(methods)[name].source
    told = source.request_class if isinstance(source, Operation) else source
    text = pydoc.render_doc(found(methods, name), renderer=pydoc.plaintext)

    first = f"async {name}(self" if asynchronous and not isinstance(source, Listing) else f"{name}(self"
    assert first in text
    for parameter in list(inspect.signature(found(methods, name)).parameters)[1:]:
        assert f"{parameter}: " in text
    for line in (inspect.getdoc(told) or "").splitlines():
        assert (line in text) is not line.startswith("    context: ")
    if isinstance(source, Operation):
        for error in source.errors:
            assert f"{error.__name__}: " in text


def test_help_of_one_method_in_full() -> None:
    """What a person reads after `help(cabinet.charges.wait_for_payment)`."""
    text = pydoc.render_doc(Charges.wait_for_payment, renderer=pydoc.plaintext)

    assert text == (
        "Python Library Documentation: function wait_for_payment in module cabinet_sdk.charges.client\n"
        "\n"
        "wait_for_payment(self, payment_id: cabinet_sdk.charges.models.PaymentId, *, timeout: float | None = 900.0) "
        "-> cabinet_sdk.charges.models.Payment\n"
        "    Wait until a payment is credited or has failed, and return it: `Payment.status` says which.\n"
        "    \n"
        "    Args:\n"
        "        payment_id: Which.\n"
        "        timeout: Seconds to wait at the longest; None is without limit. Waiting again later is always possible.\n"
        "    \n"
        "    Raises:\n"
        "        PaymentNotFound: The profile has no such payment.\n"
        "        DeadlineExceeded: It is still pending after the timeout.\n"
    )


@pytest.mark.parametrize("methods", [methods for methods, _ in AREAS])
def test_help_of_a_class_shows_its_methods(methods: type[Area[Any]]) -> None:
    """Help of an area lists each operation as a method, with its first sentence."""
    text = pydoc.render_doc(methods, renderer=pydoc.plaintext)

    for name in endpoints(methods):
        assert f"{name}(self" in text
        assert (inspect.getdoc(getattr(methods, name)) or "").partition("\n")[0] in text


def test_a_bound_method_hides_its_self() -> None:
    """Asked of a client, a method's signature is what one has to write."""
    world = World()
    cabinet = connect(world, world.profiles.add("Иванова Мария Петровна"))

    signature = inspect.signature(cabinet.charges.wait_for_payment)

    assert list(signature.parameters) == ["payment_id", "timeout"]
    assert signature.parameters["payment_id"].annotation is PaymentId
    assert signature.parameters["timeout"].kind is inspect.Parameter.KEYWORD_ONLY
    assert signature.return_annotation is Payment
    world.close()


@pytest.mark.parametrize("wrong", [{"colour": "red"}, {"status": ChargeStatus.PAID, "cursor": "x"}])
def test_wrong_arguments_are_refused_at_the_call(wrong: dict[str, object]) -> None:
    """A keyword that the operation does not have is a TypeError where it is given, before anything is sent."""
    cabinet = Cabinet(BASE_URL, transport=typing.cast("Any", object()))

    with pytest.raises(TypeError, match="unexpected keyword argument"):
        cabinet.charges.list(**wrong)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def clients() -> tuple[Cabinet, AsyncCabinet]:
    """Return a client of each mode."""
    world = World()
    person = world.profiles.add("Иванова Мария Петровна")
    return connect(world, person), connect_async(world, person)


@pytest.mark.parametrize("number, methods", [(0, Charges), (1, AsyncCharges)])
def test_completion_shows_the_operations_and_nothing_else(number: int, methods: type[Area[Any]]) -> None:
    """Python's own completion after an area offers its operations; nothing of the machinery is among them."""
    completer = rlcompleter.Completer({"cabinet": clients()[number]})
    offered: set[str] = set()
    while (match := completer.complete("cabinet.charges.", len(offered))) is not None:
        offered.add(match)

    assert {match.rstrip("()") for match in offered} == {f"cabinet.charges.{name}" for name in endpoints(methods)}


def test_completion_after_the_client_shows_areas_and_verbs() -> None:
    """What a client offers is its areas and the few things that it does itself."""
    for client in clients():
        assert {name for name in dir(client) if not name.startswith("_")} == {"answer", "charges", "close", "with_options"}


needs_jedi = pytest.mark.skipif(importlib.util.find_spec("jedi") is None, reason="Jedi is not installed")


@needs_jedi
@pytest.mark.slow
def test_jedi_completes_a_live_client() -> None:
    """In IPython, Jedi offers the operations of a client that exists, with signature and docstring."""
    jedi: Any = importlib.import_module("jedi")
    cabinet = clients()[0]

    offered = {each.name: each for each in jedi.Interpreter("cabinet.charges.", [{"cabinet": cabinet}]).complete()}
    calls = jedi.Interpreter("cabinet.charges.pay(", [{"cabinet": cabinet}]).get_signatures()

    assert {name for name in offered if not name.startswith("_")} == {*endpoints(Charges)}
    assert "Pay a charge, in full or in part." in offered["pay"].docstring()
    assert [each.name for each in calls[0].params] == ["charge_id", "method", "amount"]


@needs_jedi
@pytest.mark.slow
def test_jedi_completes_a_file() -> None:
    """In an editor, Jedi offers the operations by the annotations alone, with their first sentences."""
    jedi: Any = importlib.import_module("jedi")
    program = "from cabinet_sdk import Cabinet\ncabinet = Cabinet('http://cabinet.example/v1')\ncabinet.charges."

    offered = {each.name: each for each in jedi.Script(program).complete()}

    assert {*endpoints(Charges)} <= {*offered}
    assert offered["pay"].docstring(raw=True) == "Pay a charge, in full or in part."


@pytest.mark.skipif(importlib.util.find_spec("IPython") is None, reason="IPython is not installed")
@pytest.mark.slow
def test_ipython_shows_signature_and_docstring() -> None:
    """A question mark after a method shows its signature and its docstring in IPython."""
    ipython: Any = importlib.import_module("IPython.core.interactiveshell")

    shown = ipython.InteractiveShell().inspector.info(clients()[1].charges.pay, oname="cabinet.charges.pay")

    assert shown["definition"].startswith("cabinet.charges.pay(")
    assert "method: cabinet_sdk.charges.models.PaymentMethod" in shown["definition"]
    assert shown["docstring"].startswith("Pay a charge, in full or in part.")
