"""
What no fork may share.

A thread that holds a lock while another thread forks is not there in the child to release it, and of a pool none is.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Generic, TypeVar, final

__all__ = ["LOADING", "PerProcess"]

T = TypeVar("T")


@final
class PerProcess(Generic[T]):
    """A thing of each process of its own, made when it is first asked for."""

    def __init__(self, new: Callable[[], T]) -> None:
        self._new: Callable[[], T] = new
        self._things: dict[int, T] = {}

    def get(self) -> T:
        """Return that of this process."""
        process = os.getpid()
        thing = self._things.get(process)
        return self._things.setdefault(process, self._new()) if thing is None else thing


LOADING = threading.RLock()
"""
To hold while an area is loaded. A fork waits for it: of a module that another thread was importing then, the child
would wait for the end for ever.
"""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=LOADING.acquire, after_in_parent=LOADING.release, after_in_child=LOADING.release)
