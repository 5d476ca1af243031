"""The contract: the table of all rows. Server, docs and tests read it; the client loads each area on its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, final

from cabinet_sdk._core.operation import Operation
from cabinet_sdk.charges import operations as charges

__all__ = ["CONTRACT", "Contract", "Row"]

Row = Operation[..., Any, Any]
"""A row of any types."""


@final
class Contract:
    """Rows by their ids, in the order given; no two with one id or one method and path."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows: dict[str, Row] = {}
        addresses: dict[tuple[str, str], Row] = {}
        for row in rows:
            address = row.method, "/".join("{}" if "{" in part else part for part in row.path.split("/"))
            for other in (self._rows.get(row.id), addresses.get(address)):
                if other is not None:
                    msg = f"{row!r} and {other!r} cannot both stand in the contract"
                    raise ValueError(msg)
            self._rows[row.id] = addresses[address] = row

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows.values())

    def __getitem__(self, row_id: str) -> Row:
        return self._rows[row_id]

    def __contains__(self, row_id: object) -> bool:
        return row_id in self._rows

    def __len__(self) -> int:
        return len(self._rows)


CONTRACT = Contract(charges.OPERATIONS)
"""Every operation there is."""
