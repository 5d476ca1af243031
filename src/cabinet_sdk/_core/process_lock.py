"""Locks over a fork: a thread that holds one while another thread forks is not there in the child to release it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Generic, TypeVar, final

__all__ = ["LOADING", "ProcessLock"]

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


LOADING = threading.RLock()
"""
To hold while an area is loaded. A fork waits for it: of a module that another thread was importing then, the child
would wait for the end for ever.
"""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=LOADING.acquire, after_in_parent=LOADING.release, after_in_child=LOADING.release)
