"""Ctrl-C, which must not leave anything half changed."""

from __future__ import annotations

import signal
import threading
from typing import Any


class Interruption:
    """Notes Ctrl-C while a block runs, and lets it take effect when the block is left.

    Neither between two changes that belong together, nor inside of a callback, from where C cannot
    pass it on, can an exception be raised. In the main thread, where Python handles signals; in
    others there is nothing to do.
    """

    def __init__(self) -> None:
        self.is_noted = False
        self._handler: Any = None

    def __enter__(self) -> None:
        self.is_noted = False
        self._handler = None
        if threading.current_thread() is threading.main_thread():
            handler = signal.getsignal(signal.SIGINT)
            if callable(handler):
                self._handler = handler
                signal.signal(signal.SIGINT, self._note)

    def _note(self, *_: object) -> None:
        self.is_noted = True

    def __exit__(self, *_: object) -> None:
        if self._handler is None:
            return
        signal.signal(signal.SIGINT, self._handler)
        if self.is_noted:
            self._handler(signal.SIGINT, None)
