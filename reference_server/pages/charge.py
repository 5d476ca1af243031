"""A charge's card: everything about it, and money that comes for it or goes back."""

from __future__ import annotations

from typing import final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cabinet_sdk.charges.models import Charge, RefundMethod
from cabinet_sdk.errors import Problem
from reference_server.pages.forms import Form, submitted
from reference_server.pages.reading import Reader
from reference_server.pages.rendering import Renderer, see_other
from reference_server.profiles import Profile
from reference_server.world import World

__all__ = ["ChargePages"]


@final
class ChargePages:
    """
    The pages below ``/profiles/{profile_id}/charges/{charge_id}``.

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
        base = "/profiles/{profile_id}/charges/{charge_id}"
        return [
            Route(base, self.show),
            Route(f"{base}/credit", submitted(self.credit), methods=["POST"]),
            Route(f"{base}/refund", submitted(self.refund), methods=["POST"]),
        ]

    def show(self, request: Request) -> Response:
        """Show the card."""
        profile, charge = self._charge(request)
        return self._show(request, profile, charge, Form())

    def credit(self, request: Request, form: Form) -> Response:
        """Credit the charge with money from a bank."""
        profile, charge = self._charge(request)
        form.name = "credit"
        amount = form.money("amount")
        order_number = form.text("payment_order_number", longest=6, required=False)
        if form.errors or amount is None:
            return self._show(request, profile, charge, form, status=422)
        self._world.charges.credit(profile, charge, amount, payment_order_number=order_number or "1")
        return see_other(f"/profiles/{profile.id}/charges/{charge.id}", "credited")

    def refund(self, request: Request, form: Form) -> Response:
        """Request the refund of what the charge is overpaid by."""
        profile, charge = self._charge(request)
        form.name = "refund"
        method = form.choice("method", RefundMethod.members())
        amount = form.money("amount", required=False)
        if form.errors or method is None:
            return self._show(request, profile, charge, form, status=422)
        try:
            self._world.charges.request_refund(profile, charge, method, amount)
        except Problem as error:
            form.refuse("", f"The service answers {error.code}: {error.message}")
            return self._show(request, profile, charge, form, status=422)
        return see_other(f"/profiles/{profile.id}/charges/{charge.id}", "refund")

    def _charge(self, request: Request) -> tuple[Profile, Charge]:
        profile = self._world.profiles.get(request.path_params["profile_id"])
        charge = None if profile is None else self._reader.charge(profile, request.path_params["charge_id"])
        if profile is None or charge is None:
            raise HTTPException(404, "There is no such charge.")
        return profile, charge

    def _show(self, request: Request, profile: Profile, charge: Charge, form: Form, status: int = 200) -> Response:
        asked = request.query_params
        return self._renderer.page(
            request,
            "charge.html",
            status=status,
            profile=profile,
            charge=charge,
            history=self._reader.history(profile, charge, asked.get("cursor")),
            payments=self._reader.pending_payments(profile, charge, asked.get("pending")),
            asked=asked,
            refunds=self._reader.refunds(profile, charge),
            methods=RefundMethod.members(),
            base_url=str(request.base_url).rstrip("/"),
            form=form,
        )
