"""One change of a project, and how many of them are applied."""
import dataclasses
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Callable

from .google import GoogleError

# Later phases need what earlier ones created; within a phase nothing needs another.
(ACCOUNTS, ACCESS, JOBS, JOB_ACCESS, TRIGGERS, CHANNELS, METRICS, ALERTS, DASHBOARDS,
 TRIGGER_REMOVAL, JOB_REMOVAL, REMOVAL, ACCOUNT_REMOVAL) = range(13)
# What watches the jobs: nothing needs it.
WATCHING = (CHANNELS, METRICS, ALERTS, DASHBOARDS)


@dataclasses.dataclass
class Change:
    phase: int
    action: str  # create, update, delete, or "take over": an update of a resource that does not have our mark
    kind: str  # job, trigger, account ...
    name: str
    apply: Callable[[], object]
    details: list = dataclasses.field(default_factory=list)
    jobs: frozenset = frozenset()  # the deployed jobs that it concerns; none means all

    @property
    def title(self):
        return f"{self.kind} {self.name}"


class Interrupted(KeyboardInterrupt):
    """Somebody stopped the program. The changes that were `running` may or may not be complete."""

    def __init__(self, running):
        super().__init__()
        self.running = running


def apply_all(changes, report):
    """Applies all changes in order, several at once where they are independent. Returns the failures and the skipped changes.

    A change that needs a failed one is skipped. The others are still applied, and a later run completes the rest.
    """
    outcome, running = Outcome(), {}

    def apply(change):
        running[id(change)] = change
        change.apply()
        del running[id(change)]

    # gcloud keeps a processor busy for most of its second.
    pool = ThreadPoolExecutor(min(8, 2 * (os.cpu_count() or 1)))
    try:
        for phase in range(ACCOUNT_REMOVAL + 1):
            waiting = []
            for change in (c for c in changes if c.phase == phase):
                if outcome.blocks(change):
                    outcome.skipped.append(change)
                    report(change, "skipped")
                else:
                    waiting.append((change, pool.submit(apply, change)))
            for change, future in waiting:
                try:
                    future.result()
                    report(change, "done")
                except GoogleError as error:
                    running.pop(id(change), None)
                    outcome.failed.append((change, error))
                    report(change, "failed", str(error))
    except KeyboardInterrupt:
        pool.shutdown(wait=False, cancel_futures=True)
        raise Interrupted(list(running.values())) from None
    pool.shutdown()
    return outcome.failed, outcome.skipped


class Outcome:
    def __init__(self):
        self.failed, self.skipped = [], []

    def blocks(self, change):
        """Whether a change needs one that has failed. Alerts need their channels. Neither an alert nor a chart needs its metric: it can
        be created before, and shows nothing."""
        if change.phase in WATCHING:
            return change.phase == ALERTS and any(c.phase == CHANNELS for c, _ in self.failed)
        failed = [c for c, _ in self.failed if c.phase not in WATCHING]
        if change.phase >= TRIGGER_REMOVAL or not change.jobs:
            return bool(failed)
        return any(not c.jobs or c.jobs & change.jobs for c in failed)
