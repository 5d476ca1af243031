"""
Write the tables of docs/guides/errors.md anew, after a change to the errors or to the rules of repeating.

Run ``python tools/errors_page.py``. What stands between the markers of the page is made here, the rest by hand.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from pathlib import Path

from cabinet_sdk._core.operation import Repeat
from cabinet_sdk._core.retry import LONGEST_WAIT, RetryPolicy, may_repeat, nobody_knows
from cabinet_sdk._core.schema import read_documentation
from cabinet_sdk.contract import CONTRACT
from cabinet_sdk.errors import (
    CallerError,
    ConnectionFailed,
    ConnectionLost,
    NetworkError,
    Problem,
    RightsError,
    ServiceError,
    StateError,
    StillRunning,
    TimedOut,
    catalogue,
)

__all__ = ["PAGE", "page"]

PAGE = Path(__file__).parents[1] / "docs" / "guides" / "errors.md"

_BRANCHES = (CallerError, RightsError, StateError, ServiceError)
_WIDTH = 120
_STATUSES = range(400, 600)
# Any that the rules of repeating do not name.
_SOME_CODE = "some.code"

_Outcome = NetworkError | tuple[int, str | None]
"""What came of an attempt: an error of the network, or a status with its problem code."""


def page(text: str) -> str:
    """Return the page with its generated parts as they must be; `text` is the page as it is."""
    parts = {
        "repeating": _repeating(),
        "delays": _delays(RetryPolicy()),
        "catalogue": _catalogue(),
    }
    for name, content in parts.items():
        begin, end = f"<!-- {name}: made by tools/errors_page.py -->\n", "<!-- end -->"
        part = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
        # A backslash would stand for something else in what replaces a match.
        whole = f"{begin}\n{content}\n\n{end}".replace("\\", r"\\")
        text, count = part.subn(whole, text)
        if count != 1:
            msg = f"{PAGE.name} needs the markers of {name!r} once, and has them {count} times"
            raise ValueError(msg)
    return text


def _delays(policy: RetryPolicy) -> str:
    rows = [(str(number), _pause(policy, number)) for number in range(1, policy.attempts + 1)]
    longest = LONGEST_WAIT / 3600
    rest = f"Whatever the service asks for, nobody waits longer than {longest:g} hours, even without a deadline."
    return f"{_table(('attempt', 'pause before it'), rows)}\n\n{rest}"


def _pause(policy: RetryPolicy, number: int) -> str:
    if number == 1:
        return "none"
    return f"random, 0 to {policy.jittered_delay(number - 1, 1.0):g} s"


def _repeating() -> str:
    statuses: dict[tuple[str, ...], list[int]] = {}
    for status in _STATUSES:
        statuses.setdefault(_row((status, _SOME_CODE)), []).append(status)
    # The largest group is that of the statuses nobody names.
    usual = max(statuses, key=lambda row: len(statuses[row]))
    not_handed_on = _listed([status for status in statuses[usual] if _row((status, None)) == usual])
    # One of the others.
    page = 409
    rows = [
        ("`ConnectionFailed`, nothing was sent", *_row(ConnectionFailed(""))),
        ("`ConnectionLost`", *_row(ConnectionLost(""))),
        ("`TimedOut`", *_row(TimedOut(""))),
        *((_listed(group), *row) for row, group in statuses.items() if row != usual),
        ("503 without a problem document", *_row((503, None))),
        (
            f"{StillRunning.status} with the code `{StillRunning.code}`",
            *_row((StillRunning.status, StillRunning.code)),
        ),
        ("a redirect", *_row((303, None))),
        ("any other page without a problem document", *_row((page, None))),
        ("any other status", *usual),
    ]
    rest = (
        f"With {not_handed_on} a page without a problem document is as any other status: servers and gateways say that "
        "of a request that they do not hand on."
    )
    return f"{_table(('what came of the attempt', 'safe', 'keyed', 'never'), rows)}\n\n{_wrapped(rest)}"


def _listed(statuses: list[int]) -> str:
    """Name statuses; where all of them follow from one on, only that one."""
    first = _STATUSES.stop
    while first - 1 in statuses:
        first -= 1
    named = [str(status) for status in statuses if status < first]
    return ", ".join([*named, *([f"from {first} on"] if first in statuses else [])])


def _row(outcome: _Outcome) -> tuple[str, ...]:
    return tuple(_consequence(repeat, outcome) for repeat in (Repeat.SAFE, Repeat.KEYED, Repeat.NEVER))


def _consequence(repeat: Repeat, outcome: _Outcome) -> str:
    result, code = (outcome, None) if isinstance(outcome, NetworkError) else outcome
    if may_repeat(repeat, result, code):
        return "again"
    sent = result.sent if isinstance(result, NetworkError) else nobody_knows(result, code)
    return "`OutcomeUnknown`" if sent and repeat is not Repeat.SAFE else "the error"


def _catalogue() -> str:
    problems = [problem for problem in catalogue() if problem.__module__.startswith("cabinet_sdk.")]
    return "\n\n".join(_entry(problem) for problem in problems)


def _entry(problem: type[Problem]) -> str:
    branch = next(each for each in _BRANCHES if issubclass(problem, each))
    home = problem.__module__
    if home != "cabinet_sdk.errors":
        home = home.removesuffix(".errors")
    answered_by = ", ".join(f"`{row.id}`" for row in CONTRACT if problem in row.errors)
    lines = [
        f"### `{problem.code}`",
        f"Status {problem.status}. `{home}.{problem.__name__}`, a `{branch.__name__}`. {_meaning(problem)}",
        f"- What to do: {problem.remedy}",
        *([f"- Its attributes: {members}."] if (members := _members(problem)) else []),
        *([f"- Answered by {answered_by}."] if answered_by else []),
    ]
    return f"{lines[0]}\n\n{_wrapped(lines[1])}\n\n" + "\n".join(_wrapped(line, "  ") for line in lines[2:])


def _meaning(problem: type[Problem]) -> str:
    told = read_documentation(problem)
    return _marked(f"{told.summary} {told.description}")


def _members(problem: type[Problem]) -> str:
    texts = read_documentation(problem).fields.items()
    return "; ".join(f"`{name}`, {text[0].lower()}{_marked(text[1:]).rstrip('.')}" for name, text in texts)


def _marked(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().replace("``", "`")


def _wrapped(text: str, indent: str = "") -> str:
    return textwrap.fill(text, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines).replace("| --- ", "|---").replace("|--- |", "|---|")


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"{PAGE} is current.")
