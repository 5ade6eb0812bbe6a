"""One job on the page: its state and the reason for it, when it runs, its last runs, what it may do."""
import datetime as dt
import html as markup
import math
import urllib.parse

from . import state as states
from .command import number, spoken
from .state import ATTENTION, STATES

BARS, ROWS = 30, 10
GRID = ((10, "10 s"), (60, "1 min"), (600, "10 min"), (3600, "1 h"), (36_000, "10 h"))


def html(state, overview):
    job, kind = state.job, STATES[state.state].kind
    classes = ["is-" + STATES[state.state].key] + ["is-different"] * bool(state.drift) + ["attention"] * (state.state in ATTENTION)
    return f"""<article class="{' '.join(classes)}" id="{text(job['job'])}"><div class="what"><h2>{text(job['job'])}
<em class="tag {kind}"><i aria-hidden="true">{STATES[state.state].mark}</i> {text(state.state)}</em></h2><p>{text(job['purpose'])}</p></div>{reason(state, overview)}
<dl>{''.join(f'<div><dt>{text(name)}</dt><dd>{value}</dd></div>' for name, value in facts(state))}</dl>
<figure>{chart(state, overview)}</figure>{drift(state)}
<details><summary>Runs, counts and access</summary>{runs(state, overview)}{access(state)}
<p class="links">{link(job_url(overview.desired, job), "The job in the console")}</p></details></article>"""


def text(value):
    return markup.escape(str(value))


def link(url, words):
    return f'<a href="{text(url)}" rel="noopener noreferrer">{text(words)}</a>'


# ---------------------------------------------------------------- facts
def facts(state):
    """Pairs of a name and markup."""
    job, now = state.job, state.now
    schedule = text(job["schedule_words"]) + (f" <code>{text(job['schedule'])}</code>" if job["schedule"] else "")
    found = [("Schedule", schedule), ("Next", text(coming(state)))]
    if state.last:
        took = "Running for" if state.last.status == "running" else "Took"
        found += [("Last run", f"{moment(state.last.created)}, {spoken((now - state.last.created).total_seconds())} ago"),
                  (took, spoken(state.last.seconds(now)))]
    if state.last_success and state.last_success != (state.last and state.last.completed):
        found.append(("Last success", moment(state.last_success)))
    return found


def coming(state):
    if not state.job["schedule"]:
        return "when somebody starts it"
    if state.is_paused:
        return "paused"
    return f"{state.next_run:%d %b, %H:%M} UTC" if state.next_run else "no trigger"


def moment(time):
    return f'<time datetime="{time:%Y-%m-%dT%H:%M:%SZ}">{time:%d %b, %H:%M} UTC</time>'


# ---------------------------------------------------------------- the reason
def reason(state, overview):
    """What happened, where to read more, and the command that helps."""
    definition = STATES[state.state]
    if state.state not in (*ATTENTION, "skipped"):
        return ""
    lines = why(state)
    found = "".join(f"<p>{text(line)}</p>" for line in lines)
    if state.state in ("failed", "canceled", "skipped") and state.last:
        found += (f'<p class="links">{link(log_url(overview.desired, state.job, state.last), "Log of this run")} '
                  f'{link(run_url(overview.desired, state.last), "This run in the console")}</p>')
    advice = definition.advice.format(environment=overview.desired.environment, job=state.job["job"])
    return f'<div class="reason {definition.kind}">{found}{f"<p><code>{text(advice)}</code></p>" if advice else ""}</div>'


def why(state):
    if state.state == "not deployed":
        return ["The job does not exist in the project."]
    if state.state == "overdue":
        since = f"Its last success was {spoken((state.now - state.last_success).total_seconds())} ago" if state.last_success else "It has never succeeded"
        return [f"{since}, and it runs {state.job['schedule_words']}."]
    summary = state.summary_of(state.last)
    lines = summary.reasons if summary else []
    if lines or state.last.message:
        return lines or [state.last.message]
    if state.state == "canceled":
        return ["Somebody canceled the run, or Cloud Run did."]
    return ["The summary names no failure." if summary else "Cloud Run gives no reason, and the log has no summary of the run."]


# ---------------------------------------------------------------- links into the console
def job_url(desired, job):
    return f"https://console.cloud.google.com/run/jobs/details/{desired.region}/{job['name']}/executions?project={desired.project}"


def run_url(desired, execution):
    return f"https://console.cloud.google.com/run/jobs/executions/details/{desired.region}/{execution.name}/tasks?project={desired.project}"


def log_url(desired, job, execution):
    conditions = "\n".join(['resource.type="cloud_run_job"', f'resource.labels.job_name="{job["name"]}"',
                            f'labels."run.googleapis.com/execution_name"="{execution.name}"'])
    end = (execution.completed or execution.created + dt.timedelta(days=1)) + dt.timedelta(minutes=5)
    span = f"{execution.created:%Y-%m-%dT%H:%M:%SZ}/{end:%Y-%m-%dT%H:%M:%SZ}"
    parts = f"query={urllib.parse.quote(conditions, safe='')};timeRange={urllib.parse.quote(span, safe='')}"
    return f"https://console.cloud.google.com/logs/query;{parts}?project={desired.project}"


# ---------------------------------------------------------------- the chart
def chart(state, overview):
    """A bar for each run; all jobs share one scale, on which each line is ten times the one before or nearly so."""
    history = state.history[:BARS][::-1]
    if not history:
        return '<p class="empty">no runs yet</p>'
    longest = overview.longest
    lines = [f'<span class="line" style="bottom:{height(seconds, longest):.1f}%"><b>{words}</b></span>' for seconds, words in grid(longest)]
    # Where every run has a day of its own, a line for each day says nothing.
    shows_days = len({e.created.date() for e in history}) <= len(history) / 2
    bars, day = [], None
    for execution in history:
        outcome = states.of_execution(execution, state.summary_of(execution))
        seconds = execution.seconds(state.now)
        label = f"{execution.created:%d %b %H:%M} UTC: {outcome}, {spoken(seconds)}"
        new_day = shows_days and day not in (None, execution.created.date())
        day = execution.created.date()
        bars.append(f'<span class="slot{" day" if new_day else ""}" title="{text(label)}">{mark(outcome)}'
                    f'<i class="bar {text(STATES[outcome].key)}" style="height:{max(4, height(seconds, longest)):.1f}%"></i></span>')
    outcomes = [states.of_execution(e, state.summary_of(e)) for e in history]
    name = f"The last {number(len(history), 'run')} of {state.job['job']}: {', '.join(f'{outcomes.count(o)} {o}' for o in dict.fromkeys(outcomes))}"
    return (f'<div class="plot" role="img" aria-label="{text(name)}">{"".join(lines)}<div class="bars">{"".join(bars)}</div></div>'
            f'<figcaption>{axis(history)}</figcaption>')


def axis(history):
    """The times of the first and the last bar, each below its bar where there is room."""
    first, last = (f"{e.created:%d %b %H:%M}" for e in (history[0], history[-1]))
    if len(history) == 1:
        return f"<span></span><span>{last} UTC</span>"
    if len(history) < BARS / 2:
        return f"<span></span><span>{first} to {last} UTC</span>"
    return f'<span style="margin-left:{100 * (BARS - len(history)) / BARS:.1f}%">{first}</span><span>{last} UTC</span>'


def mark(outcome):
    """The second sign of a bar, for those who cannot tell its color."""
    return "" if outcome == "succeeded" else f"<b>{STATES[outcome].mark}</b>"


def height(seconds, longest):
    return 100 * math.log1p(seconds) / math.log1p(longest)


def grid(longest):
    """At most three lines, the highest ones."""
    return [line for line in GRID if line[0] <= longest][-3:]


def legend(overview):
    outcomes = ("succeeded", "failed", "canceled", "skipped", "running")
    signs = "".join(f'<span><i class="bar {STATES[o].key}"></i>{STATES[o].mark} {o}</span>' for o in outcomes)
    return (f'<p class="legend">{signs}<span>A bar is one run, the newest on the right. All jobs share one scale, up to '
            f'{spoken(overview.longest)}; a tick below the bars begins a day (UTC).</span></p>')


# ---------------------------------------------------------------- differences
def drift(state):
    if not state.drift:
        return ""
    lines = "".join(f"<li>{text(live_and_wanted(d))}</li>" for d in state.drift)
    return f'<div class="drift"><h3>Different from jobs.yaml</h3><ul>{lines}</ul></div>'


def live_and_wanted(line):
    """`job x: memory: live 2Gi, jobs.yaml 512Mi` for `job x: memory: 2Gi -> 512Mi`."""
    title, colon, details = line.partition(": ")
    return title + colon + "; ".join(map(named_sides, details.split("; ")))


def named_sides(detail):
    before, arrow, wanted = detail.rpartition(" -> ")
    name, colon, live = before.rpartition(": ") if before.count(": ") < 2 else before.partition(": ")
    return f"{name}{colon}live {live}, jobs.yaml {wanted}" if arrow else detail


# ---------------------------------------------------------------- runs and access
def runs(state, overview):
    history = state.history[:ROWS]
    if not history:
        return ""
    rows = []
    for execution in history:
        summary = state.summary_of(execution)
        outcome = states.of_execution(execution, summary)
        counts = summary.counts if summary else {}
        billed = size(counts["bytes_billed"]) if "bytes_billed" in counts else "–"
        served = [f"{value:,} {name.replace('_', ' ')}" for name, value in counts.items() if name.startswith("organizations")]
        others = [f"{value:,} {name.replace('_', ' ')}" for name, value in counts.items()
                  if value and name != "bytes_billed" and not name.startswith("organizations")]
        rows.append(f'<tr><td>{link(log_url(overview.desired, state.job, execution), f"{execution.created:%d %b, %H:%M}")}</td>'
                    f'<td>{STATES[outcome].mark} {text(outcome)}</td><td>{spoken(execution.seconds(state.now))}</td><td>{billed}</td>'
                    f'<td>{text(", ".join(served + others) or "–")}</td></tr>')
    head = "".join(f'<th scope="col">{name}</th>' for name in ("Log of (UTC)", "Outcome", "Took", "Billed", "Counts"))
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def size(count):
    """`20 MiB`."""
    for unit, name in ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}".replace(".0 ", " ")
    return f"{count} B"


def access(state):
    """What the account of the job may do, and what for."""
    roles = "".join(f"<li>{text(where)}: {text(', '.join(names))}</li>" for where, names in state.grants)
    uses = "".join(f"<li>{text(use.get('on', ''))}: {text(use.get('does', ''))}</li>" for use in state.uses)
    found = f'<h3>Roles of {text(state.job["account"].partition("@")[0])}</h3><ul>{roles or "<li>none</li>"}</ul>'
    return found + (f"<h3>What the job does with them</h3><ul>{uses}</ul>" if uses else "")
