"""One change of a project, and how many of them are made."""
import dataclasses
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Callable

from .google import GoogleError

# Later phases need what earlier ones made; within a phase nothing needs another.
ACCOUNTS, ACCESS, JOBS, JOB_ACCESS, TRIGGERS, ALERTS, TRIGGER_REMOVAL, JOB_REMOVAL, REMOVAL, ACCOUNT_REMOVAL = range(10)


@dataclasses.dataclass
class Change:
    phase: int
    action: str  # create, update or delete
    kind: str  # job, trigger, account ...
    name: str
    apply: Callable[[], object]
    details: list = dataclasses.field(default_factory=list)
    jobs: frozenset = frozenset()  # the deployed jobs that it concerns; none means all

    @property
    def title(self):
        return f"{self.kind} {self.name}"


def make(changes, report):
    """Makes all changes in order, several at once where they are independent. Returns the failures and what was left out.

    What needs something that failed is left out; the rest is still made, and a later run completes it.
    """
    failed, skipped, blocked, all_blocked = [], [], set(), False
    # gcloud keeps a processor busy for most of its second.
    with ThreadPoolExecutor(min(8, 2 * (os.cpu_count() or 1))) as pool:
        for phase in range(ACCOUNT_REMOVAL + 1):
            waiting = []
            for change in (c for c in changes if c.phase == phase):
                removal = phase >= TRIGGER_REMOVAL and failed
                needs = phase != ALERTS and (all_blocked or bool(blocked & change.jobs) or (blocked and not change.jobs))
                if removal or needs:
                    skipped.append(change)
                    report(change, "left out")
                else:
                    waiting.append((change, pool.submit(change.apply)))
            for change, future in waiting:
                try:
                    future.result()
                    report(change, "done")
                except GoogleError as error:
                    failed.append((change, error))
                    report(change, "failed", str(error))
                    blocked |= change.jobs
                    all_blocked = all_blocked or (not change.jobs and phase != ALERTS)
    return failed, skipped
