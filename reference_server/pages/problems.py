"""The help pages at the problem types' addresses."""

from __future__ import annotations

import re
from typing import final

import attrs
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cabinet_sdk._core.openapi import problems_of
from cabinet_sdk._core.schema import read_documentation
from cabinet_sdk.contract import CONTRACT
from cabinet_sdk.errors import CallerError, Problem, RightsError, ServiceError, StateError, catalogue
from reference_server.pages.rendering import Renderer

__all__ = ["Help", "ProblemPages", "helps"]

_BRANCHES: tuple[tuple[type[Problem], str], ...] = (
    (CallerError, "The caller: the request is wrong, and sending it again unchanged cannot help."),
    (RightsError, "Whoever grants rights: sign in, or ask the profile's administrator for the permission."),
    (StateError, "Nobody is wrong: the state of the thing or a rule forbids it now."),
    (ServiceError, "The service: try later, or tell its support."),
)
_OURS = "cabinet_sdk."


@final
@attrs.frozen(kw_only=True)
class Help:
    """
    What a page says of a problem.

    Attributes:
        code: Of the problem.
        status: Of the answer.
        title: In one sentence.
        meaning: In some more words.
        members: What its document says besides, by name.
        branch: The class that says who must act.
        who: Must act.
        remedy: What to do.
        imported_from: Where its class is imported from.
        name: Of the class.
        operations: Ids of those that may answer it, in the order of the contract.
        everywhere: Whether that is every operation.
    """

    code: str
    status: int
    title: str
    meaning: str
    members: dict[str, str]
    branch: str
    who: str
    remedy: str
    imported_from: str
    name: str
    operations: tuple[str, ...]
    everywhere: bool


def helps() -> dict[str, Help]:
    """Return what there is to say of each problem of the SDK, by its code and in the order of the codes."""
    answered = {row.id: problems_of(row) for row in CONTRACT}
    found: dict[str, Help] = {}
    for problem in catalogue():
        # A program may have problems of its own, which this service never answers.
        if not problem.__module__.startswith(_OURS):
            continue
        told = read_documentation(problem)
        branch, who = next(each for each in _BRANCHES if issubclass(problem, each[0]))
        operations = tuple(row_id for row_id, problems in answered.items() if problem in problems)
        found[problem.code] = Help(
            code=problem.code,
            status=problem.status,
            title=problem.title,
            meaning=_plain(f"{told.summary} {told.description}"),
            members={name: _plain(text) for name, text in told.fields.items()},
            branch=branch.__name__,
            who=who,
            remedy=problem.remedy or "Quote the request id to the service's support.",
            imported_from=problem.__module__.removesuffix(".errors")
            if problem.__module__ != "cabinet_sdk.errors"
            else problem.__module__,
            name=problem.__name__,
            operations=operations,
            everywhere=len(operations) == len(answered),
        )
    return found


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("`", "").strip()


@final
class ProblemPages:
    """
    The pages at ``/problems``.

    Args:
        renderer: Makes the pages.
    """

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer

    def routes(self) -> list[Route]:
        """Return where they answer."""
        return [Route("/problems", self.show_all), Route("/problems/{code}", self.show)]

    def show_all(self, request: Request) -> Response:
        """Show every problem."""
        return self._renderer.page(
            request,
            "problems.html",
            here="/problems",
            problems=list(helps().values()),
            missing=None,
        )

    def show(self, request: Request) -> Response:
        """Show one problem."""
        known = helps()
        code: str = request.path_params["code"]
        if code not in known:
            return self._renderer.page(
                request,
                "problems.html",
                here="/problems",
                status=404,
                problems=list(known.values()),
                missing=code,
            )
        rows = {row.id: row for row in CONTRACT}
        problem = known[code]
        return self._renderer.page(
            request,
            "problem.html",
            here="/problems",
            problem=problem,
            rows=[] if problem.everywhere else [rows[each] for each in problem.operations],
        )
