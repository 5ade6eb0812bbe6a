"""scripts/run-job.sh: starts one execution of a job, and follows it. A release is the three schema jobs in order."""
import json
import sys
import time

from . import executions
from .command import FAILED, INTERRUPTED, STOPPED, UNCONFIRMED, Parser, UsageError, answer, color, run, spoken
from .comparison import container_of
from .desired import Desired
from .google import Google, GoogleError


RELEASE = ("bootstrap", "bootstrap-sync", "org-sync-all")
# Organizations come and go, so org-sync-all always has to look. The other two depend on nothing but the version of the job.
ALWAYS = {"org-sync-all"}
# Executions with these arguments do not do all of the work.
PARTIAL = {"--dry-run", "--explain", "--help", "--version", "--describe"}
# Options of org-sync-all alone, and whether each has a value.
WAVES = {"--waves": True, "--pause": True, "--max-failures": True, "--resume": False}
CHANGES = ("datasets_created", "tables_created", "tables_updated", "columns_added")


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
    parser.add_argument("--every-step", action="store_true")
    return parser.parse_args(own), rest


def main():
    options, extra = arguments()
    desired = Desired(options.environment)
    is_release = options.job == "release"
    if is_release and options.leave:
        raise UsageError("run-job.sh: release waits for each step, so it does not accept --async")
    if options.every_step and not is_release:
        raise UsageError("run-job.sh: --every-step belongs to release")
    job = {"name": "the release"} if is_release else desired.job(options.job)
    if desired.index["confirm"] and not options.yes:
        if not sys.stdin.isatty():
            print(f"{desired.environment} asks before it runs a job: run in a terminal, or with --yes", file=sys.stderr)
            return UNCONFIRMED
        if answer(f"Run {job['name']} in {desired.project}? Type {desired.environment} to continue: ") != desired.environment:
            print("Nothing was started.")
            return UNCONFIRMED
    google = Google(desired.project)
    if is_release:
        return release(google, desired, extra, options.every_step)
    started = start(google, desired, job, extra)
    for execution in started:
        print(f"started {execution.name}" + (f" with {' '.join(extra)}" if extra else ""), flush=True)
    if len(started) > 1:
        print(color(f"warning: a reply was lost, and {len(started)} executions were started; all are followed", "33"), file=sys.stderr)
    if options.leave:
        print(f"the execution continues; scripts/list-jobs.sh {desired.environment} shows its outcome")
        return 0
    try:
        return max((follow(google, desired, job, execution) for execution in started), key=lambda code: (code != 0, code == FAILED))
    except KeyboardInterrupt:
        print("\n" + "\n".join(continues(desired, execution) for execution in started), file=sys.stderr)
        return INTERRUPTED


def release(google, desired, extra, runs_every_step):
    """Runs the schema jobs in order, up to the first one that fails; in a dry run all of them. A step that is done already is skipped."""
    code, lines = 0, []
    for name in RELEASE:
        if code and "--dry-run" not in extra:
            lines.append(f"{name:14}  not run")
            continue
        job, summaries = desired.job(name), []
        done = None if runs_every_step or name in ALWAYS or "--dry-run" in extra else done_already(google, desired, job)
        if done:
            lines.append(f"{name:14}  skipped: {done.name} did it on {done.created:%Y-%m-%d at %H:%M} UTC, and the job is the same (--every-step runs it)")
            continue
        given = extra if name == "org-sync-all" else without_waves(extra)
        results = []
        for execution in start(google, desired, job, given):
            print(f"started {execution.name}" + (f" with {' '.join(given)}" if given else ""), flush=True)
            try:
                results.append(follow(google, desired, job, execution, summaries))
            except KeyboardInterrupt:
                print(f"\n{continues(desired, execution)}", file=sys.stderr)
                return INTERRUPTED
        result = max(results, key=lambda code: (code != 0, code == FAILED))
        code = code or result
        lines.append(f"{name:14}  {outcome(result, summaries, '--dry-run' in extra)}")
    print(color(f"release of {desired.environment}:", "1"))
    print("\n".join(f"  {line}" for line in lines))
    return code


def done_already(google, desired, job):
    """The newest execution, if it did all of the work with the job as it is now."""
    newest = executions.recent(google, desired, job["name"], 1)
    if not newest or newest[0].status != "succeeded" or newest[0].job_generation is None or PARTIAL & set(newest[0].arguments):
        return None
    path = f"apis/run.googleapis.com/v1/namespaces/{desired.project}/jobs/{job['name']}"
    generation = google.get("run", path, desired.region)["metadata"].get("generation")
    return newest[0] if newest[0].job_generation == str(generation) else None


def without_waves(extra):
    """The arguments without those that only org-sync-all has."""
    kept, skips = [], False
    for argument in extra:
        name, equals, _ = argument.partition("=")
        if not skips and name not in WAVES:
            kept.append(argument)
        skips = not skips and WAVES.get(name, False) and not equals
    return kept


def outcome(result, summaries, is_dry):
    """`succeeded: 3 columns added`, from the last attempt of each task."""
    last = {s.get("task_index", 0): s for s in sorted(summaries, key=lambda s: s.get("attempt", 0))}
    word = {0: "succeeded", STOPPED: "stopped"}.get(result, "failed")
    if not last:
        return f"{word}; its summary did not arrive"
    counts = {name: sum(s["counts"].get(name, 0) for s in last.values()) for name in CHANGES}
    parts = [f"{count} {name.replace('_', ' would be ' if is_dry else ' ')}" for name, count in counts.items() if count]
    failures = [f["subject"] for s in last.values() for f in s.get("failures", [])]
    more = f"; failures: {', '.join(failures[:3])}{' ...' if len(failures) > 3 else ''}" if failures else ""
    return f"{word}: {', '.join(parts) or 'nothing to do'}{more}"


def start(google, desired, job, extra):
    """The executions that were started: one, or several where the service started one and its reply was lost."""
    path = f"apis/run.googleapis.com/v1/namespaces/{desired.project}/jobs/{job['name']}:run"
    # Overriding arguments needs a right of its own; without arguments nothing is overridden.
    own = container_of(desired.resources[job["name"]]).get("args", [])
    body = {"overrides": {"containerOverrides": [{"args": [*own, *extra]}]}} if extra else {}
    known = {e.name for e in executions.all_of(google, desired, job["name"])}
    for attempt in range(3):
        try:
            reply = google.request("POST", "run", path, body=body, region=desired.region)
            return [executions.Execution(reply), *lost(google, desired, job, known, attempt, reply["metadata"]["name"])]
        except GoogleError as error:
            if error.status == 404:
                raise GoogleError(f"{job['name']} is not deployed: scripts/create-all-jobs.sh {desired.environment}") from None
            if not error.is_passing:
                raise
            print(color(f"warning: {error}; looking whether an execution was started", "33"), file=sys.stderr, flush=True)
            for _ in range(4):
                google.sleep(1)
                found = lost(google, desired, job, known, 1, "")
                if found:
                    return found
            problem = error
    raise GoogleError(f"{job['name']} was not started, as far as Cloud Run shows: {problem}")


def lost(google, desired, job, known, attempts_before, name):
    """The executions that earlier attempts started although their reply was lost. A trigger's own execution has another creator."""
    if not attempts_before:
        return []
    return [e for e in executions.all_of(google, desired, job["name"])
            if e.name not in known | {name} and e.creator != desired.trigger_account]


def follow(google, desired, job, execution, summaries=None):
    """Prints the log until the end, and the summary. Returns the exit code. Adds what the tasks reported to `summaries`."""
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
    if summaries is not None:
        summaries += log.summaries
    took = spoken((execution.completed - execution.created).total_seconds()) if execution.completed else ""
    good = execution.status == "succeeded"
    print(color(f"{execution.name} {execution.status}", "32" if good else "31") + f" after {took}"
          + ("" if good or not execution.message else f": {execution.message}"))
    if not log.summaries:
        print("its summary did not arrive; the log in the console may have it later")
    if good and any(s.get("job") == "bootstrap" and s.get("counts", {}).get("tables_created") for s in log.summaries):
        print(f"now scripts/create-all-jobs.sh {desired.environment} gives the jobs their access to the tables that were created")
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
