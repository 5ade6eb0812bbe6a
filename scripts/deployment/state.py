"""The one state that a job is in, as the page shows it."""
import collections

# `kind` is the color, `mark` the second sign beside it, `sentence` what follows the name of the job.
State = collections.namedtuple("State", "key kind mark sentence advice")

STATES = {
    "failed": State("failed", "bad", "×", "failed", "scripts/run-job.sh {environment} {job}"),
    "not deployed": State("missing", "bad", "!", "is not deployed", "scripts/create-all-jobs.sh {environment}"),
    "overdue": State("overdue", "warn", "!", "is overdue", "scripts/run-job.sh {environment} {job}"),
    "canceled": State("canceled", "warn", "–", "was canceled", "scripts/run-job.sh {environment} {job}"),
    "skipped": State("skipped", "warn", "↷", "was skipped", ""),
    "running": State("running", "busy", "▸", "is running", ""),
    "paused": State("paused", "none", "‖", "is paused", ""),
    "never run": State("new", "none", "○", "has never run", ""),
    "succeeded": State("succeeded", "good", "✓", "succeeded", ""),
}
# The order of the page: what needs a person comes first.
ORDER = list(STATES)
ATTENTION = ("failed", "not deployed", "overdue", "canceled")


def of_execution(execution, summary):
    """The outcome of one run. A skipped run succeeds for Cloud Run."""
    if execution.status == "succeeded" and summary and summary.is_skipped:
        return "skipped"
    return "canceled" if execution.status == "cancelled" else execution.status


def of_job(state):
    if not state.is_deployed:
        return "not deployed"
    outcome = of_execution(state.last, state.summary_of(state.last)) if state.last else None
    if outcome == "failed":
        return outcome
    if state.is_overdue:
        return "overdue"
    if outcome in ("canceled", "running"):
        return outcome
    return "paused" if state.is_paused else outcome or "never run"
