"""What methods say about themselves while the program runs."""

from __future__ import annotations

import inspect
import rlcompleter
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cabinet_sdk import AsyncCabinet, Cabinet
from cabinet_sdk._core.area import Area
from cabinet_sdk.charges import AsyncCharges, Charges, ChargeStatus, Payment, PaymentId
from reference_server import World
from reference_server.testing import BASE_URL, connect, connect_async
from tests.house.methods import help_of, lies
from tests.house.rows import endpoints

AREAS: list[tuple[type[Area[Any]], bool]] = [(Charges, False), (AsyncCharges, True)]
"""Every area's two classes; the second of each is async."""

METHODS = [
    pytest.param(methods, name, asynchronous, id=f"{methods.__name__}.{name}")
    for methods, asynchronous in AREAS
    for name in endpoints(methods)
]

each_method = pytest.mark.parametrize("methods, name, asynchronous", METHODS)


def test_every_area_is_looked_at() -> None:
    """The list above holds the class of every area that a client has, in both modes."""
    areas = [name for name, value in vars(Cabinet).items() if isinstance(value, property)]

    assert [type(getattr(client, area)) for area in areas for client in clients()] == [area for area, _ in AREAS]


@each_method
def test_a_method_tells_the_truth(methods: type[Area[Any]], name: str, *, asynchronous: bool) -> None:
    """Names, signature, annotations and help are those of the request class or the flow, in the right mode."""
    endpoint = endpoints(methods)[name]

    assert getattr(methods, name) is getattr(methods, name)
    assert lies(getattr(methods, name), endpoint, methods, name, asynchronous=asynchronous) == []


def lie(**attributes: object) -> Callable[..., Any]:
    """Return a copy of `Charges.pay` with other attributes."""
    function = Charges.pay
    copy = types.FunctionType(function.__code__, {}, function.__name__, None, function.__closure__)
    copy.__dict__.update(function.__dict__)
    for name in ("__qualname__", "__module__", "__doc__", "__annotations__"):
        setattr(copy, name, getattr(function, name))
    for name, value in attributes.items():
        setattr(copy, name, value)
    return copy


@pytest.mark.parametrize(
    "function, wrong",
    [
        (lie(__name__="method"), "pay has the name 'method'"),
        (lie(__qualname__="_Charges.pay"), "pay has the qualified name '_Charges.pay'"),
        (lie(__module__="cabinet_sdk._core.area"), "pay is of the module 'cabinet_sdk._core.area'"),
        (lie(__doc__=None), "help of pay lacks 'Pay a charge, in full or in part.'"),
        (lie(__doc__="Pay a charge, in full or in part."), "help of pay lacks '    NothingDue: Nothing"),
        (lie(__doc__=f"{Charges.pay.__doc__}    context: It."), "help of pay speaks of the context"),
        (lie(__signature__=inspect.signature(Charges.get)), "pay takes "),
        (lie(__signature__=None), "pay takes "),
        (
            lie(__signature__=inspect.signature(Charges.pay).replace(return_annotation="Payment")),
            "pay has in its signature ",
        ),
        (lie(__annotations__={"args": Any}), "pay has the annotations "),
        (AsyncCharges.pay, "pay is an `async def` True, not False"),
    ],
)
def test_a_method_that_lies_is_found(function: Callable[..., Any], wrong: str) -> None:
    """Each thing that a method may say wrongly about itself is reported."""
    found = lies(function, endpoints(Charges)["pay"], Charges, "pay", asynchronous=False)

    assert [each for each in found if each.startswith(wrong)]


def test_help_of_one_method_in_full() -> None:
    """What a person reads after `help(cabinet.charges.wait_for_payment)`."""
    text = help_of(Charges.wait_for_payment)

    assert text == (
        "Python Library Documentation: function wait_for_payment in module cabinet_sdk.charges.client\n"
        "\n"
        "wait_for_payment(self, payment_id: cabinet_sdk.charges.models.PaymentId, *, timeout: float | None = 900.0) "
        "-> cabinet_sdk.charges.models.Payment\n"
        "    Wait until a payment is credited or has failed, and return it: `Payment.status` says which.\n"
        "\n"
        "    A status that this version does not know ends the wait where the service no longer says when to ask "
        "again.\n"
        "\n"
        "    Args:\n"
        "        payment_id: Which.\n"
        "        timeout: Seconds to wait at the longest; None is without limit. "
        "Waiting again later is always possible.\n"
        "\n"
        "    Raises:\n"
        "        PaymentNotFound: The profile has no such payment.\n"
        "        DeadlineExceeded: It is still pending after the timeout.\n"
    )


def test_what_a_request_extends_is_explained_too() -> None:
    """An export takes the filters of the list, and its help says of them what that of the list says."""
    _, _, filters = (inspect.getdoc(Charges.list) or "").partition("\nArgs:\n")
    _, _, arguments = (inspect.getdoc(Charges.export) or "").partition("\nArgs:\n")

    assert "    overdue: " in filters
    assert arguments.startswith(f"    format: Kind of the file.\n{filters}\n")


@pytest.mark.parametrize("methods", [methods for methods, _ in AREAS])
def test_help_of_a_class_shows_its_methods(methods: type[Area[Any]]) -> None:
    """Help of an area lists each operation as a method, with its first sentence."""
    text = help_of(methods)

    for name in endpoints(methods):
        assert f"{name}(self" in text
        assert (inspect.getdoc(getattr(methods, name)) or "").partition("\n")[0] in text


@pytest.mark.parametrize("number, methods", [(0, Charges), (1, AsyncCharges)])
def test_help_of_an_area_is_an_overview(number: int, methods: type[Area[Any]]) -> None:
    """`help(cabinet.charges)` shows what each operation takes and does, in their order, and no machinery."""
    text = help_of(clients()[number].charges)
    places = [
        text.index(f"    {'await ' if inspect.iscoroutinefunction(each) else ''}{name}(")
        for name in endpoints(methods)
        for each in [getattr(methods, name)]
    ]

    assert text.startswith(
        f"Python Library Documentation: {methods.__name__} in module cabinet_sdk.charges.client\n\n"
        f"<{methods.__name__} of {BASE_URL}>\n    {methods.__doc__}\n"
    )
    assert places == sorted(places)
    assert "pay(charge_id, *, method, amount=None)\n        Pay a charge, in full or in part.\n" in text
    assert "__" not in text


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
    cabinet = clients()[0]

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
        public = {name for name in dir(client) if not name.startswith("_")}
        assert public == {"answer", "charges", "close", "resume", "with_options"}


@pytest.fixture
def jedi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return Jedi with a cache of its own: workers of pytest-xdist must not write the one that it keeps for a user."""
    module = pytest.importorskip("jedi")
    monkeypatch.setattr("jedi.settings.cache_directory", str(tmp_path / "cache"))
    return module


@pytest.mark.slow
def test_jedi_completes_a_live_client(jedi: Any) -> None:
    """In IPython, Jedi offers the operations of a client that exists, with signature and docstring."""
    cabinet = clients()[0]

    offered = {each.name: each for each in jedi.Interpreter("cabinet.charges.", [{"cabinet": cabinet}]).complete()}
    calls = jedi.Interpreter("cabinet.charges.pay(", [{"cabinet": cabinet}]).get_signatures()

    assert {name for name in offered if not name.startswith("_")} == {*endpoints(Charges)}
    assert "Pay a charge, in full or in part." in offered["pay"].docstring()
    assert [each.name for each in calls[0].params] == ["charge_id", "method", "amount"]


@pytest.mark.slow
def test_jedi_completes_a_file(jedi: Any) -> None:
    """In an editor, Jedi offers the operations by the annotations alone, with their first sentences."""
    program = "from cabinet_sdk import Cabinet\ncabinet = Cabinet('http://cabinet.example/v1')\ncabinet.charges."

    offered = {each.name: each for each in jedi.Script(program).complete()}

    assert {*endpoints(Charges)} <= {*offered}
    assert offered["pay"].docstring(raw=True) == "Pay a charge, in full or in part."


@pytest.mark.slow
def test_ipython_shows_signature_and_docstring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A question mark after a method shows its signature and its docstring in IPython."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    ipython: Any = pytest.importorskip("IPython.core.interactiveshell")

    shown = ipython.InteractiveShell().inspector.info(clients()[1].charges.pay, oname="cabinet.charges.pay")

    assert shown["definition"].startswith("cabinet.charges.pay(")
    assert "method: cabinet_sdk.charges.models.PaymentMethod" in shown["definition"]
    assert shown["docstring"].startswith("Pay a charge, in full or in part.")
