"""SIGTERM ends a run as Ctrl-C does: with its teardown, its summary and its manifest."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType


class Interruption:
    """Turns SIGTERM into KeyboardInterrupt, unless the run is being interrupted already.

    An xdist worker gets both: SIGINT from the terminal, and SIGTERM from its controller, which
    cannot know of the first. Another Ctrl-C interrupts again.
    """

    def __init__(self) -> None:
        self._begun = False

    def on_sigint(self, number: int, frame: FrameType | None) -> None:
        """Raise KeyboardInterrupt."""
        self._begun = True
        signal.default_int_handler(number, frame)

    def on_sigterm(self, number: int, frame: FrameType | None) -> None:
        """Raise KeyboardInterrupt the first time."""
        if not self._begun:
            self.on_sigint(number, frame)


def interrupt_on_sigterm() -> Callable[[], None]:
    """Have SIGTERM raise KeyboardInterrupt in this process; answers what undoes that.

    Handlers that somebody else has set stay, and so does everything outside the main thread.
    """
    usual: dict[signal.Signals, Callable[[int, FrameType | None], object] | signal.Handlers] = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
    }
    if threading.current_thread() is not threading.main_thread() or any(
        signal.getsignal(number) is not handler for number, handler in usual.items()
    ):
        return lambda: None
    interruption = Interruption()
    signal.signal(signal.SIGINT, interruption.on_sigint)
    signal.signal(signal.SIGTERM, interruption.on_sigterm)

    def undo() -> None:
        for number, handler in usual.items():
            signal.signal(number, handler)

    return undo
