"""The pages that a `confirmation` names: where a payer confirms a payment, or a holder chooses a card for a refund."""

from __future__ import annotations

from typing import final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cabinet_sdk.charges.models import PaymentId, RefundId
from reference_server.pages.forms import Form, submitted
from reference_server.pages.reading import Reader
from reference_server.pages.rendering import Renderer, see_other
from reference_server.world import World

__all__ = ["PayerPages"]


@final
class PayerPages:
    """
    The pages below ``/pay`` and ``/refunds``.

    Args:
        world: Which world.
        renderer: Makes the pages.
    """

    def __init__(self, world: World, renderer: Renderer) -> None:
        self._world = world
        self._renderer = renderer
        self._reader = Reader(world)

    def routes(self) -> list[Route]:
        """Return where they answer; whoever is no visitor of a sandbox sees the pages, and decides nothing."""
        found = [Route("/pay/{payment_id}", self.payment), Route("/refunds/{refund_id}", self.refund)]
        if self._renderer.sandbox:
            found += [
                Route("/pay/{payment_id}/{decision}", submitted(self.decide), methods=["POST"]),
                Route("/refunds/{refund_id}/card", submitted(self.choose_card), methods=["POST"]),
            ]
        return found

    def payment(self, request: Request, *, late: bool = False) -> Response:
        """Show a payment to whoever pays it."""
        payment = self._reader.payment(request.path_params["payment_id"])
        if payment is None:
            return self._renderer.page(request, "payment.html", status=404, payment=None, late=late)
        return self._renderer.page(request, "payment.html", status=409 if late else 200, payment=payment, late=late)

    def decide(self, request: Request, _: Form) -> Response:
        """Confirm or decline it."""
        charges = self._world.charges
        acts = {"confirm": charges.confirm, "decline": charges.decline}
        act = acts.get(request.path_params["decision"])
        if act is None:
            raise HTTPException(404)
        payment_id = PaymentId(request.path_params["payment_id"])
        try:
            act(payment_id)
        except ValueError:
            return self.payment(request, late=True)
        return see_other(f"/pay/{payment_id}", "decided")

    def refund(self, request: Request, *, late: bool = False) -> Response:
        """Show a refund to the holder of the card."""
        refund = self._reader.refund(request.path_params["refund_id"])
        if refund is None:
            return self._renderer.page(request, "refund.html", status=404, refund=None, late=late)
        return self._renderer.page(request, "refund.html", status=409 if late else 200, refund=refund, late=late)

    def choose_card(self, request: Request, _: Form) -> Response:
        """Choose the card that the money comes back to; which one that would be is the bank's secret."""
        refund_id = RefundId(request.path_params["refund_id"])
        try:
            self._world.charges.choose_card(refund_id)
        except ValueError:
            return self.refund(request, late=True)
        return see_other(f"/refunds/{refund_id}", "decided")
