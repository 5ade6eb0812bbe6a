"""scripts/run-job.sh: starts one execution of a job, and follows it."""
import json
import sys
import time

from . import executions
from .command import FAILED, INTERRUPTED, STOPPED, UNCONFIRMED, Parser, answer, color, run, spoken
from .comparison import container_of
from .desired import Desired
from .google import Google, GoogleError


def arguments():
    own, separator, rest = sys.argv[1:], "--" in sys.argv, []
    if separator:
        own, rest = own[:own.index("--")], own[own.index("--") + 1:]
    parser = Parser("run-job.sh")
    parser.add_argument("job")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--wait", action="store_true")
    how.add_argument("--async", action="store_true", dest="leave")
    parser.add_argument("--yes", action="store_true")
    return parser.parse_args(own), rest


def main():
    options, extra = arguments()
    desired = Desired(options.environment)
    job = desired.job(options.job)
    if desired.index["confirm"] and not options.yes:
        if not sys.stdin.isatty():
            print(f"{desired.environment} asks before it runs a job: run in a terminal, or with --yes", file=sys.stderr)
            return UNCONFIRMED
        if answer(f"Run {job['name']} in {desired.project}? Type {desired.environment} to continue: ") != desired.environment:
            print("Nothing was started.")
            return UNCONFIRMED
    google = Google(desired.project)
    execution = start(google, desired, job, extra)
    print(f"started {execution.name}" + (f" with {' '.join(extra)}" if extra else ""), flush=True)
    if options.leave:
        print(f"the execution continues; scripts/list-jobs.sh {desired.environment} shows its outcome")
        return 0
    try:
        return follow(google, desired, job, execution)
    except KeyboardInterrupt:
        print(f"\n{continues(desired, execution)}", file=sys.stderr)
        return INTERRUPTED


def start(google, desired, job, extra):
    # Arguments may have commas; gcloud takes another separator in front.
    own = container_of(desired.resources[job["name"]]).get("args", [])
    given = [f"--args=^\x1f^{chr(31).join([*own, *extra])}"] if extra else []
    try:
        reply = google.gcloud("run", "jobs", "execute", job["name"], f"--region={desired.region}", "--async", "--format=json", *given)
    except GoogleError as error:
        if "could not be found" in str(error) or "does not exist" in str(error):
            raise GoogleError(f"{job['name']} is not deployed: scripts/create-all-jobs.sh {desired.environment}") from None
        raise
    return executions.Execution(json.loads(reply))


def follow(google, desired, job, execution):
    """Prints the log until the end, and the summary. Returns the exit code."""
    log = executions.ExecutionLog(google, desired, job["name"], execution)
    warn = Warnings()
    while execution.status == "running":
        google.sleep(2)
        try:
            execution = executions.one(google, desired, execution.name)
        except GoogleError as error:
            if not error.is_passing:
                raise GoogleError(f"{execution.name} can no longer be read: {error}\n{continues(desired, execution)}") from None
            warn(f"{execution.name} cannot be read, trying again: {error}")
        show(log, warn)
    show(log, warn, at_once=True)
    # Entries arrive some seconds late, that of the container's exit sometimes before the summary.
    deadline = time.monotonic() + 20
    while len(log.summaries) < execution.attempts and not log.is_refused and time.monotonic() < deadline:
        google.sleep(2)
        show(log, warn)
        if log.exits >= execution.attempts:
            deadline = min(deadline, time.monotonic() + 10)
    for summary in log.summaries:
        show_summary(summary)
    took = spoken((execution.completed - execution.created).total_seconds()) if execution.completed else ""
    good = execution.status == "succeeded"
    print(color(f"{execution.name} {execution.status}", "32" if good else "31") + f" after {took}"
          + ("" if good or not execution.message else f": {execution.message}"))
    if not log.summaries:
        print("its summary did not arrive; the log in the console may have it later")
    if good:
        return 0
    last = {s.get("task_index", 0): s for s in sorted(log.summaries, key=lambda s: s.get("attempt", 0))}
    return STOPPED if any(s["status"] == "stopped" for s in last.values()) else FAILED


class Warnings:
    """Prints each warning once."""

    def __init__(self):
        self.said = set()

    def __call__(self, text):
        if text not in self.said:
            print(color(f"warning: {text}", "33"), file=sys.stderr, flush=True)
        self.said.add(text)


def continues(desired, execution):
    return (f"{execution.name} continues. To end it: gcloud run jobs executions cancel {execution.name} "
            f"--region={desired.region} --project={desired.project}")


def show(log, warn, at_once=False):
    """New entries of the log. Whether it can be read says nothing about the execution."""
    try:
        for entry in log.new(at_once):
            print(executions.line(entry), flush=True)
    except GoogleError as error:
        log.is_refused = not error.is_passing
        warn(f"the log cannot be read, the execution continues: {error}")


def show_summary(summary):
    print(color("summary: ", "1") + json.dumps({k: summary[k] for k in (
        "job", "status", "reason", "dry_run", "counts", "duration_ms", "execution", "task_index", "attempt") if k in summary}))
    for kind in ("failures", "warnings"):
        for finding in summary.get(kind, []):
            print(f"  {kind[:-1]}: {finding['subject']}: {finding['reason']}")


if __name__ == "__main__":
    run(main, "stopped; if an execution was started, it continues: scripts/list-jobs.sh shows it")
