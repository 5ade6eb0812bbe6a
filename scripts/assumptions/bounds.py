"""What a run may take: time, bytes that BigQuery bills, dollars."""
import json
import math
import pathlib
import threading
import time

from .facts import NotCheckable

SECONDS, BYTES, DOLLARS = 15 * 60, 10**9, 0.20
# Left for the deletions at the end.
CLEANING_SECONDS = 120
# The most of one statement: five tables, at 10 MiB each.
STATEMENT_BYTES = 50 * 2**20
# Containers: three executions of two attempts at most, each of 90 seconds of one CPU and 512 MiB.
CONTAINER_SECONDS = 6 * 90
PRICES = pathlib.Path(__file__).parents[1] / "costs/facts.json"


class Stopped(Exception):
    """The run ends early, and cleans up."""


class Bounds:
    def __init__(self, clock=time.monotonic):
        self._clock, self._began, self._lock = clock, clock(), threading.Lock()
        self.billed, self._reserved = 0, 0

    @property
    def left(self):
        return SECONDS - CLEANING_SECONDS - (self._clock() - self._began)

    @property
    def seconds(self):
        return self._clock() - self._began

    def check_time(self):
        if self.left <= 0:
            raise Stopped(f"the {SECONDS // 60} minutes of a run are over")

    def reserve(self):
        """Before a statement: it may bill STATEMENT_BYTES, and the sum of all must stay within BYTES."""
        self.check_time()
        with self._lock:
            if self.billed + self._reserved + STATEMENT_BYTES > BYTES:
                raise NotCheckable(f"the statements of this run have billed {self.billed / 1e6:.0f} MB, and a run may bill {BYTES / 1e6:.0f} MB")
            self._reserved += STATEMENT_BYTES

    def bill(self, count):
        with self._lock:
            self._reserved -= STATEMENT_BYTES
            self.billed += count

    def wait(self, seconds):
        self.check_time()
        time.sleep(min(seconds, max(0.0, self.left)))


def most_dollars():
    """The bound on the cost of a run: all bytes, all containers, and one trigger of Cloud Scheduler for a whole month."""
    prices = {name: entry["value"] for name, entry in json.loads(PRICES.read_text())["prices"].items()}
    containers = CONTAINER_SECONDS * (prices["cloud_run_dollars_per_vcpu_second"] + 0.5 * prices["cloud_run_dollars_per_gib_second"])
    return BYTES / 2**40 * prices["bigquery_dollars_per_tib"] + containers + prices["scheduler_dollars_per_job"]


class Samples:
    """Times of several subjects until something was so."""

    def __init__(self, times, missing):
        self.times, self.missing = sorted(times), missing

    @property
    def is_complete(self):
        return not self.missing and bool(self.times)

    def __str__(self):
        if not self.times:
            return f"n={self.missing}: never"

        def at(share):
            return self.times[math.ceil(share * len(self.times)) - 1]

        text = f"n={len(self.times) + self.missing}: p50 {at(0.5):.2f} s, p90 {at(0.9):.2f} s, max {self.times[-1]:.2f} s"
        return text + (f"; {self.missing} never" if self.missing else "")


def measured(bounds, began, is_so, limit, pause=0.5):
    """Asks until every subject is so, at most `limit` seconds. `began` has the instant of each subject, by `time.monotonic`, and
    `is_so` takes the subjects that are not so yet and returns those that are."""
    times, open_ones, end = [], dict(began), time.monotonic() + limit
    while open_ones:
        for subject in is_so(list(open_ones)):
            times.append(time.monotonic() - open_ones.pop(subject))
        if not open_ones or time.monotonic() > end:
            break
        bounds.wait(pause)
        pause = min(pause * 1.5, 10)
    return Samples(times, len(open_ones))
