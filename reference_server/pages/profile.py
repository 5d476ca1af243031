"""A profile's page: its charges with filters, what is pending, and what the authorities may do to it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import TypeVar, final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cabinet_sdk.charges.models import ChargeKind, ChargeOrder, ChargeStatus
from cabinet_sdk.charges.operations import ListCharges
from cabinet_sdk.types import moscow_date
from reference_server.charges.rules import SINGLE_TAX_KBK, Outcome
from reference_server.pages.forms import Form, submitted
from reference_server.pages.reading import Reader
from reference_server.pages.rendering import Renderer, see_other
from reference_server.profiles import Profile
from reference_server.world import World

__all__ = ["ProfilePages"]

T = TypeVar("T")

_TERM = dt.timedelta(days=60)
_MOST_OUTCOMES = 20
_OVERDUE = {"": None, "yes": True, "no": False}


@final
class ProfilePages:
    """
    The pages below ``/profiles/{profile_id}`` that are about the whole profile.

    Args:
        world: Which world.
        renderer: Makes the pages.
    """

    def __init__(self, world: World, renderer: Renderer) -> None:
        self._world = world
        self._renderer = renderer
        self._reader = Reader(world)

    def routes(self) -> list[Route]:
        """Return where they answer."""
        base = "/profiles/{profile_id}"
        return [
            Route(base, self.show),
            Route(f"{base}/charges", submitted(self.charge), methods=["POST"]),
            Route(f"{base}/transfers", submitted(self.transfer), methods=["POST"]),
            Route(f"{base}/outcomes", submitted(self.script), methods=["POST"]),
            Route(f"{base}/payments/{{payment_id}}/{{act}}", submitted(self.decide_payment), methods=["POST"]),
            Route(f"{base}/refunds/{{refund_id}}/{{act}}", submitted(self.decide_refund), methods=["POST"]),
        ]

    def show(self, request: Request) -> Response:
        """Show the profile."""
        return self._show(request, self._profile(request), Form(request.query_params, name="filters"))

    def charge(self, request: Request, form: Form) -> Response:
        """Add a charge; one whose day is past was accrued long enough before."""
        profile = self._profile(request)
        form.name = "charge"
        kind = form.choice("kind", ChargeKind.members())
        amount = form.money("amount")
        due_on = form.day("due_on")
        purpose = form.text("purpose", longest=210, required=False)
        if form.errors or kind is None or amount is None:
            return self._show(request, profile, form, status=422)
        past = due_on is not None and due_on < moscow_date(self._world.clock.now())
        try:
            charge = self._world.charges.add(
                profile,
                amount,
                kind=kind,
                accrued_on=due_on - _TERM if due_on is not None and past else None,
                due_on=due_on,
                purpose=purpose,
            )
        except ValueError as error:
            form.refuse("", f"The charge breaks a rule: {error}.")
            return self._show(request, profile, form, status=422)
        return see_other(f"/profiles/{profile.id}/charges/{charge.id}", "charged")

    def transfer(self, request: Request, form: Form) -> Response:
        """Let a bank transfer arrive from the profile."""
        profile = self._profile(request)
        form.name = "transfer"
        amount = form.money("amount")
        purpose = form.text("purpose", longest=210)
        if amount is None or purpose is None:
            return self._show(request, profile, form, status=422)
        transfer = self._world.charges.receive_transfer(
            profile.inn,
            amount,
            purpose=purpose,
            kbk=SINGLE_TAX_KBK if form.raw("single_tax") else None,
        )
        return see_other(f"/profiles/{profile.id}#transfers", "unmatched" if transfer.unmatched else "transferred")

    def script(self, request: Request, form: Form) -> Response:
        """Note how payments or refunds to come are to end."""
        profile = self._profile(request)
        form.name = "outcome"
        charges = self._world.charges
        script = {"payment": charges.script, "refund": charges.script_refunds}.get(form.raw("subject"))
        if script is None:
            form.refuse("subject", "Choose one of the list.")
        outcome = form.choice("outcome", Outcome.members())
        times = form.number("times", least=1, most=_MOST_OUTCOMES)
        if script is None or outcome is None or times is None:
            return self._show(request, profile, form, status=422)
        script(*[outcome] * times)
        return see_other(f"/profiles/{profile.id}", "scripted")

    def decide_payment(self, request: Request, form: Form) -> Response:
        """Confirm or decline a payment in the payer's place."""
        profile, charges = self._profile(request), self._world.charges
        payment = self._reader.payment(request.path_params["payment_id"], profile)
        acts = {"confirm": charges.confirm, "decline": charges.decline}
        return self._decide(request, form, profile, payment and payment.id, acts)

    def decide_refund(self, request: Request, form: Form) -> Response:
        """Move a refund on in the place of its holder, its payee or the Treasury."""
        profile, charges = self._profile(request), self._world.charges
        refund = self._reader.refund(request.path_params["refund_id"], profile)
        acts = {
            "card": charges.choose_card,
            "order": charges.order_refund,
            "complete": charges.complete_refund,
            "refuse": charges.refuse_refund,
        }
        return self._decide(request, form, profile, refund and refund.id, acts)

    def _decide(
        self, request: Request, form: Form, profile: Profile, found: T | None, acts: Mapping[str, Callable[[T], object]]
    ) -> Response:
        act = acts.get(request.path_params["act"])
        if found is None or act is None:
            raise HTTPException(404)
        try:
            act(found)
        except ValueError:
            return see_other(self._origin_of(profile, form), "too-late")
        return see_other(self._origin_of(profile, form), "decided")

    def _origin_of(self, profile: Profile, form: Form) -> str:
        """Return the page that a button was on: the charge's, where it was on one."""
        charge = self._reader.charge(profile, form.raw("charge"))
        return f"/profiles/{profile.id}" + ("" if charge is None else f"/charges/{charge.id}")

    def _profile(self, request: Request) -> Profile:
        profile = self._world.profiles.get(request.path_params["profile_id"])
        if profile is None:
            raise HTTPException(404, "There is no such profile.")
        return profile

    def _show(self, request: Request, profile: Profile, form: Form, status: int = 200) -> Response:
        asked = form if form.name == "filters" else Form()
        if asked.raw("overdue") not in _OVERDUE:
            asked.refuse("overdue", "Choose one of the list.")
        filters = ListCharges(
            kind=asked.choice("kind", ChargeKind.members(), required=False),
            status=asked.choice("status", ChargeStatus.members(), required=False),
            overdue=_OVERDUE.get(asked.raw("overdue")),
            order=asked.choice("order", ChargeOrder.members(), required=False),
        )
        names = ("kind", "status", "overdue", "order")
        chosen = {name: asked.raw(name) for name in names if asked.raw(name) and name not in asked.errors}
        return self._renderer.page(
            request,
            "profile.html",
            status=422 if asked.errors else status,
            profile=profile,
            secret=self._world.client_secret(profile.id),
            charges=self._reader.charges(profile, filters, asked.raw("cursor") or None),
            count=self._reader.count(profile, filters),
            chosen=chosen,
            payments=self._reader.pending_payments(profile, None, asked.raw("pending") or None),
            asked=asked.values,
            transfers=self._reader.transfers(profile),
            kinds=ChargeKind.members(),
            statuses=ChargeStatus.members(),
            overdue=list(_OVERDUE),
            orders=ChargeOrder.members(),
            outcomes=Outcome.members(),
            form=form,
        )
