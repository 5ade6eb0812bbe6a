"""The differences between jobs.yaml and the project, and the changes that remove them."""
from . import access, alerts, metrics, ownership, resources
from .comparison import container_of, is_ready
from .leftovers import leftovers


class Plan:
    """`changes` are applied, `orphans` only with --prune; `conflicts`, `leftovers`, everything `foreign` and what is `waiting` for tables are
    only reported."""

    def __init__(self, google, desired, live, prune=False):
        self.desired, self.live = desired, live
        around = [] if live.access_refusal else [
            access.accounts(google, desired, live), access.custom_roles(google, desired, live),
            access.datasets(google, desired, live), access.tables(google, desired, live), access.project(google, desired, live),
            access.secrets(google, desired, live), access.jobs(google, desired, live)]
        deployed = [resources.jobs(google, desired, live), resources.triggers(google, desired, live),
                    alerts.channels(google, desired, live), metrics.metrics(google, desired, live), alerts.alerts(google, desired, live),
                    metrics.dashboards(google, desired, live)]
        self.changes = [c for part in around + deployed for c in part]
        self.conflicts = [] if live.access_refusal else list(access.conflicts(desired, live))
        self.conflicts += resources.conflicts(desired, live)
        self.waiting = [] if live.access_refusal else access.waiting(desired, live)
        orphans = [] if desired.only or live.access_refusal else access.orphans(google, desired, live)
        for part in [] if desired.only else (resources, alerts, metrics):
            orphans += part.orphans(google, desired, live)
        self.foreign = [] if desired.only else ownership.foreign(desired, live)
        self.leftovers = [] if desired.only else list(leftovers(desired, live))
        self.orphans = [] if prune else orphans
        self.changes += orphans if prune else []
        self.changes.sort(key=lambda c: c.phase)

    def of_job(self, name):
        """The changes that concern one deployed job alone."""
        return [c for c in self.changes if c.jobs == {name}]

    @property
    def takeovers(self):
        return [c for c in self.changes if c.action == "take over"]

    def replacements_without_image(self, absent):
        """The jobs that work and would be replaced by a job whose image is one of these, which do not exist."""
        found = []
        for job in self.desired.jobs:
            there = self.live.jobs.get(job["name"])
            is_changed = any(c.kind == "job" for c in self.of_job(job["name"]))
            if there and is_changed and job["image"] in absent and container_of(there).get("image") != job["image"] and is_ready(there):
                found.append(job)
        return found

    @property
    def removals(self):
        return [c for c in self.changes if c.action == "delete"]
