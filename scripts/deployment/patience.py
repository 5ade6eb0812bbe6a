"""One deadline for everything that a deployment waits for."""
import sys
import threading
import time

SECONDS = 60


class Patience:
    """One deadline for everything that a run waits for. It starts with the first wait, and shows how long it will still be."""

    def __init__(self, seconds=SECONDS, sleep=time.sleep, clock=time.monotonic, out=None):
        self.seconds, self._sleep, self._clock, self._out = seconds, sleep, clock, out
        self._lock, self._end, self._shown = threading.Lock(), None, None

    @property
    def left(self):
        return self.seconds if self._end is None else max(0.0, self._end - self._clock())

    def wait(self, seconds, reason):
        """Waits, at most to the deadline. Returns whether there was time left."""
        with self._lock:
            if self._end is None:
                self._end = self._clock() + self.seconds
        until = self._clock() + min(seconds, self.left)
        has_time = self.left > 0
        while self._clock() < until:
            self._show(reason)
            self._sleep(min(1.0, until - self._clock()))
        return has_time

    def _show(self, reason):
        """A line every ten seconds; on a terminal the same line counts down."""
        out = self._out or sys.stderr
        with self._lock:
            left, is_terminal = round(self.left), out.isatty()
            if self._shown is not None and self._shown - left < (1 if is_terminal else 10):
                return
            self._shown = left
            text = f"waiting, up to {left} s more: {reason}"
            print(f"\r\033[K{text[:150]}" if is_terminal else text, end="" if is_terminal else "\n", file=out, flush=True)

    def done(self):
        """Ends the line that counts down."""
        out = self._out or sys.stderr
        if self._shown is not None and out.isatty():
            print("\r\033[K", end="", file=out, flush=True)
