"""scripts/compare-with-original.sh: what the jobs would change in a warehouse that the Python jobs maintain, and why."""
import dataclasses
import json
import os
import pathlib
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from .command import DONE, FAILED, MISSING, Parser, color, number, run
from .comparison import container_of
from .desired import ROOT, Desired

EQUAL, KNOWN, UNKNOWN, FAILED_RUN = "equal", "known", "unknown", "not compared"
# The variables of a deployment that make no sense on an operator's machine. The job's own defaults hold here.
LEFT_OUT = {"DEADLINE_SECONDS", "LEASE_SECONDS", "LOG_FORMAT", "LOG_LEVEL"}
# The counts that say how much was looked at, not what would change.
NEUTRAL = {"organizations", "organizations_reset", "tables", "in_sync", "bytes_billed", "subscriptions", "checked", "claimed",
           "skipped", "profiles", "tolerated"}
# Other findings say the same in detail.
IN_DETAIL = {"conflicts", "notices", "tables_created", "tables_updated", "columns_added", "datasets_created", "rows_changed", "mismatches", "failed",
             "errors", "missing_in_stripe", "unmatched"}
STRIPE_COLUMNS = "stripe_customer_id|stripe_subscription_id|stripe_read_at|current_period_end|cancel_at_period_end"

# Jobs that the Python service does not have. verify judges the work of our jobs, which have not run there yet.
NEW = {"verify"}


@dataclasses.dataclass
class Known:
    """A difference that the Python jobs leave, and the reason for it."""
    pattern: str  # of a whole difference, in small letters
    reason: str


KNOWN_DIFFERENCES = [
    Known(r".*(partitioning|clustering) is none, the catalog says .*",
          "The Python job created tenants' tables without partitioning and clustering. TOLERATED_DIFFERENCES names such kinds."),
    Known(r".*\b(partitioning|clustering|layout)\b.*\btolerated\b.*|.*\btolerated\b.*", "TOLERATED_DIFFERENCES names this kind."),
    Known(r".*\bscheduler_jobs\b.*(would create|does not exist|was not found|run bootstrap first).*"
          r"|.*which creates billing_event_cursor.*",
          "These jobs keep their leases, queue and run history in scheduler_jobs. bootstrap creates it."),
    Known(rf".*org_subscriptions.*\b({STRIPE_COLUMNS})\b.*|.*(unrecognized name|not found|lacks).*\b({STRIPE_COLUMNS})\b.*|"
          rf".*\b({STRIPE_COLUMNS})\b.*not found.*",
          "These columns mirror Stripe, and the Python jobs have none of them. bootstrap-sync adds them; then compare again."),
    Known(r".*\b(current_daily_pipelines|current_monthly_pipelines)\b.*(lacks|would add|would be added).*|.*org_usage_quotas: "
          r"(lacks|would add) current_daily_pipelines.*",
          "This warehouse calls the counters pipelines_run_today and pipelines_run_month. Nothing needs the other pair."),
    Known(rf"mismatches_({STRIPE_COLUMNS}): .*", "The Python jobs did not write these columns."),
    Known(r".*: (pipelines_failed_today|max_concurrent_reached) would change .*",
          "The Python job repaired concurrent_pipelines_running only."),
    Known(r".*concurrent_pipelines_running would change null -> .*", "The column was added after the row was written."),
]
STARTED = "The counters count successful runs now. With QUOTA_COUNTS=started nothing differs."


def arguments():
    parser = Parser("compare-with-original.sh")
    parser.add_argument("--bin", metavar="FOLDER")
    parser.add_argument("--only", metavar="JOB")
    parser.add_argument("--now", metavar="RFC3339")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def main():
    options = arguments()
    desired = Desired(options.environment, only=options.only)
    folder = pathlib.Path(options.bin) if options.bin else built()
    jobs = [job for job in desired.jobs if job["job"] not in NEW]
    missing = [job["executable"] for job in jobs if not folder or not (folder / job["executable"]).is_file()]
    if missing:
        print(f"error: {folder or '.build'} lacks {', '.join(missing)}: swift build -c release --static-swift-stdlib "
              "--disable-default-traits, or name a folder with --bin", file=sys.stderr)
        return MISSING
    with ThreadPoolExecutor(4) as pool:
        compared = list(pool.map(lambda job: Comparison(desired, job, folder, options.now), jobs))
    if options.json:
        print(json.dumps({"environment": desired.environment, "project": desired.project, "folder": str(folder),
                          "jobs": [c.json() for c in compared]}, indent=2))
    else:
        show(desired, folder, compared)
    return DONE if all(c.verdict in (EQUAL, KNOWN) for c in compared) else FAILED


def built():
    return next((p for p in (ROOT / ".build/release", ROOT / ".build/debug") if (p / "BootstrapJob").is_file()), None)


class Comparison:
    """The dry run of one job. `differences` are pairs of a text and the known reason, or `None`."""

    def __init__(self, desired, job, folder, now):
        self.desired, self.job, self.folder, self.now = desired, job, folder, now
        self.problem, self.summary, self.differences = "", {}, []
        container = container_of(desired.resources[job["name"]])
        variables = {v["name"]: v["value"] for v in container.get("env", []) if "value" in v and v["name"] not in LEFT_OUT}
        secrets = {v["name"]: v["valueFrom"]["secretKeyRef"]["name"] for v in container.get("env", []) if "valueFrom" in v}
        # The API key is for notifications, which a dry run does not send.
        absent = [name for name in secrets if not os.environ.get(name) and name != "CA_ROOT_API_KEY"]
        if absent:
            self.problem = "\n".join(
                f'export {name}="$(gcloud secrets versions access latest --secret={secrets[name]} --project={desired.project})"'
                for name in absent)
            self.problem = f"{', '.join(absent)} is not set. To set it:\n{self.problem}"
            return
        self.environment = {**variables, **os.environ, "LOG_FORMAT": "json"}
        if not os.environ.get("CA_ROOT_API_KEY"):
            self.environment.pop("API_SERVICE_URL", None)
        self.own = list(container.get("args", []))
        self.described = self._describe()
        self._compare()

    def _describe(self):
        done = subprocess.run([self.folder / self.job["executable"], "--describe"], env=self.environment, capture_output=True, text=True,
                              check=False)
        try:
            return json.loads(done.stdout)
        except ValueError:
            return {}

    def _run(self, is_forced=False, **variables):
        """The summary of a dry run, and its log entries."""
        has_force = any(option["name"] == "--force" for option in self.described.get("options", []))
        options = ["--dry-run", "--json", *(["--now", self.now] if self.now else []), *(["--force"] if is_forced else [])]
        done = subprocess.run([self.folder / self.job["executable"], *self.own, *options], env={**self.environment, **variables},
                              capture_output=True, text=True, check=False)
        entries = [entry for line in (done.stdout + done.stderr).splitlines() if (entry := parsed(line))]
        summary = next((e for e in reversed(entries) if {"status", "counts", "failures"} <= e.keys()), None)
        # On other days than the first of a month, and at another time than now, a job looks at nothing unless it is forced to.
        if has_force and not is_forced and (summary["status"] == "skipped" if summary else done.returncode in (64, 78) and self.now):
            return self._run(is_forced=True, **variables)
        if done.returncode in (64, 78) or not summary:
            lines = (done.stderr or done.stdout).strip().splitlines()
            messages = [(parsed(line) or {}).get("message", line) for line in lines]
            self.problem = f"exit code {done.returncode}: " + ("\n".join(messages[-12:]) or "it printed nothing")
            return None, entries
        return summary, entries

    def _compare(self):
        summary, entries = self._run()
        if not summary:
            return
        self.summary = summary
        found = differences(summary, entries)
        counted_otherwise = bool(found) and self._is_equal_when_started()
        for text, reason in found:
            known = reason or next((k.reason for k in KNOWN_DIFFERENCES if re.fullmatch(k.pattern, text.lower())), None)
            self.differences.append((text, STARTED if counted_otherwise else known))

    def _is_equal_when_started(self):
        """Whether every difference is one between the two meanings of the counters."""
        if not any(v.get("name") == "QUOTA_COUNTS" for v in self.described.get("variables", [])) or "QUOTA_COUNTS" in self.environment:
            return False
        summary, entries = self._run(QUOTA_COUNTS="started")
        self.problem = ""
        return bool(summary) and not differences(summary, entries)

    @property
    def verdict(self):
        if self.problem:
            return FAILED_RUN
        if not self.differences:
            return EQUAL
        return KNOWN if all(reason for _, reason in self.differences) else UNKNOWN

    def grouped(self):
        """The differences by reason: the unknown ones first, each kind of text once with its number."""
        groups = {}
        for text, reason in sorted(self.differences, key=lambda pair: bool(pair[1])):
            groups.setdefault(reason, []).append(text)
        return groups

    def json(self):
        return {"job": self.job["job"], "verdict": self.verdict, "problem": self.problem, "counts": self.summary.get("counts", {}),
                "differences": [{"text": text, "reason": reason} for text, reason in self.differences]}


def parsed(line):
    try:
        entry = json.loads(line)
        return entry if isinstance(entry, dict) else None
    except ValueError:
        return None


# What the schema jobs only report: nothing depends on it.
REPORTED = "The jobs report differences of this kind and leave them. TOLERATED_DIFFERENCES and --apply are the ways to end that."
BREAKING = {"table", "type", "mode", "partitioning", "clustering"}
LEFT = re.compile(r"left as (it is|they are)$|the catalog says|differs from the catalog's|^\d+ differences? |^BigQuery deletes its")


def schema_differences(details):
    """What the schema jobs leave as it is: pairs of a text and the reason for it, or `None`."""
    for item in details.get("differences", []):
        kind, count, examples = item["kind"], item["datasets"], item["examples"]
        where = f"in {', '.join(examples)}" if count == len(examples) else f"in {count} datasets ({', '.join(examples)} ...)"
        path = f" of {item['path']}" if item["path"] else ""
        text = f"{item['table'] or 'dataset'}: {kind}{path} is {item['actual']}, the catalog says {item['expected']}, {where}"
        is_layout = kind in ("partitioning", "clustering") and item["actual"] == "none"
        reason = (KNOWN_DIFFERENCES[1].reason if item["tolerated"] else KNOWN_DIFFERENCES[0].reason if is_layout
                  else None if kind in BREAKING else REPORTED)
        yield text, reason


def planned(dataset, line):
    """A line of a plan with its dataset: `acme_prod: would create dataset in US`, `acme_prod.plans: would add notes`."""
    return f"{dataset}: {line}" if line.startswith("would ") else f"{dataset}.{line}"


def differences(summary, entries):
    """Everything that a run would change, or could not look at: pairs of a text and the reason, where the job says it."""
    details = summary.get("details", {})
    left = list(schema_differences(details))
    plan = [planned(name, line.lstrip("+~-! ")) for group in details.get("plan", {}).get("groups", [])
            for name in group["names"] for line in group["changes"]]
    texts = list(plan)
    # What is left as it is stands in the details with its places.
    texts += [f"{f['subject']}: {f['reason']}" for kind in ("failures", "warnings") for f in summary.get(kind, [])
              if not (left and LEFT.search(f["reason"]))]
    texts += [f"{n} more {kind}" for kind in ("failures", "warnings") if (n := summary.get(f"{kind}_omitted", 0)) and not plan]
    texts += [entry["message"] for entry in entries if "counter" in entry and "message" in entry]
    # A failure repeats what the plan says, with what became of it.
    seen, kept = set(), []
    for text in texts:
        key = " ".join(text.partition("; it was left as it is")[0].split())
        if key not in seen:
            seen.add(key)
            kept.append(key)
    has_details = bool(kept or left)
    for name, value in summary.get("counts", {}).items():
        if value and name not in NEUTRAL and not (has_details and name in IN_DETAIL):
            kept.append(f"{name}: {value}")
    return left + [(text, None) for text in kept]


def show(desired, folder, compared):
    print(f"{desired.environment}: project {desired.project}, {number(len(compared), 'job')} of {folder}")
    titles = {UNKNOWN: ("Different for an unknown reason", "31"), FAILED_RUN: ("Not compared", "31"),
              KNOWN: ("Different for a known reason", "33"), EQUAL: ("Equal", "32")}
    for verdict, (title, shade) in titles.items():
        group = [c for c in compared if c.verdict == verdict]
        if not group:
            continue
        print(color(f"\n{title}:", shade))
        for item in group:
            print(f"  {item.job['job']}")
            for line in item.problem.splitlines():
                print(f"      {line}")
            for reason, texts in item.grouped().items():
                for line in brief(texts):
                    print(f"      {line}")
                print(f"        -> {reason or 'unknown: docs/migrating.md says how to look into it'}")
    counts = {verdict: sum(c.verdict == verdict for c in compared) for verdict in titles}
    print(f"\n{counts[EQUAL]} equal, {counts[KNOWN]} different for a known reason, {counts[UNKNOWN]} for an unknown reason, "
          f"{counts[FAILED_RUN]} not compared")


def brief(texts):
    """One line for many differences of one kind, with three examples."""
    kinds = {}
    for text in texts:
        subject, separator, rest = text.partition(": ")
        kind = re.sub(r"(says|would change) .*", r"\1 ...", rest) if separator else text
        kinds.setdefault(kind, []).append((subject, text))
    for kind, found in kinds.items():
        if len(found) == 1:
            yield found[0][1]
            continue
        subjects = list(dict.fromkeys(subject for subject, _ in found))
        more = f" and {len(subjects) - 3} more" if len(subjects) > 3 else ""
        yield f"{len(found)} x {kind} ({', '.join(subjects[:3])}{more})"


if __name__ == "__main__":
    run(main, "stopped; nothing was changed")
