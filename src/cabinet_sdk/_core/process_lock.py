"""Locks over a fork: a thread that holds one while another thread forks is not there in the child to release it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Generic, TypeVar, final

__all__ = ["ProcessLock"]

LockT = TypeVar("LockT")


@final
class ProcessLock(Generic[LockT]):
    """A lock of each process of its own."""

    def __init__(self, new: Callable[[], LockT]) -> None:
        self._new = new
        self._locks: dict[int, LockT] = {}

    def get(self) -> LockT:
        """Return that of this process."""
        process = os.getpid()
        lock = self._locks.get(process)
        return self._locks.setdefault(process, self._new()) if lock is None else lock
