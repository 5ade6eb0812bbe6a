"""The page of simulate.sh --html: the simulated days for somebody who sees the service for the first time. One file, no script, nothing
loaded.

    python3 -m simulation.week STORY PAGE
"""
import collections
import datetime as dt
import json
import pathlib
import sys

from deployment.command import UsageError, run

from . import story as stories
from .timeline import LOOKS, clock, count, html as timeline, look, stamp, tag, text

ROOT = pathlib.Path(__file__).resolve().parents[2]
MOST = 220
KINDS = {"fault": ("warn", "fault"), "kill": ("bad", "killed"), "repair": ("good", "repaired"), "release": ("busy", "release"),
         "operator": ("busy", "operator")}
INTRODUCTION = """<p>A company keeps the costs of its customers' clouds in a warehouse: one dataset for each customer, and counters that say how many
pipelines a customer may still run today. {jobs} small jobs keep all of this in order. They create the tables, open each day's counters, repair
what crashed pipelines leave behind, delete old rows, copy the subscriptions from Stripe, and check it all at night.</p>
<p>The simulation runs the jobs as they ship, with a clock of its own, and breaks on purpose what they depend on: services answer with errors or
not at all, containers are killed between two requests, triggers fire twice or never. A job must put right on its next run what went wrong.</p>"""


def html(story, jobs):
    known = {job["job"] for job in jobs}
    jobs = jobs + [{"job": name, "purpose": "", "schedule_words": "as the story says"}
                   for name in dict.fromkeys(r["job"] for r in story.runs) if name not in known]
    folder = pathlib.Path(__file__).parent
    style = (folder.parent / "deployment/page.css").read_text() + (folder / "week.css").read_text()
    first, last = story.date(0), story.date(story.days - 1)
    span = "week" if story.days == 7 else count(story.days, "day")
    title = f"A simulated {span} of the scheduler jobs"
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer"><title>{text(title)}</title><style>{style}</style></head><body><main class="week">
<header><h1>{text(title)}</h1><p>{first.day} {first:%B} to {last.day} {last:%B %Y}, in UTC</p><p class="verdict">{verdict(story)}</p></header>
<div class="lead">{INTRODUCTION.format(jobs=spoken(len(jobs)))}</div>
<div class="cards">{cards(story)}</div>
{nights(story)}{timeline(story, jobs)}{customer(story)}{events(story)}</main></body></html>
"""


def spoken(number):
    return ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten", "Eleven", "Twelve")[number] if number < 13 else number


def cards(story):
    looks = collections.Counter(look(run) for run in story.runs)
    figures = [(len(story.runs), "runs", ""), (looks["idle"] + looks["did"], "succeeded", "good"), (looks["skipped"], "skipped", "warn"),
               (looks["failed"] + looks["stopped"] + looks["killed"], "failed or cut off", "bad"), (len(story.of("fault")), "faults of services", "warn"),
               (len(story.of("kill")), "kills", "bad"), (len(story.of("repair")), "repairs", "good")]
    return "".join(f'<div class="card {kind}"><b>{number:,}</b><span>{words}</span></div>' for number, words, kind in figures)


# ---------------------------------------------------------------- the nights
def morning(line):
    """The morning that ends the night of a check, which runs at the end of a day or early on the next."""
    return line["at"] + dt.timedelta(hours=6)


def verdict(story):
    checked = story.of("night")
    if not checked:
        return "The story has no night, so nothing was checked."
    broken = [f"{i['name']} on {morning(line):%A}" for line in checked for i in line["invariants"] if not i["holds"]]
    if broken:
        return f"Of {count(len(checked), 'night')}, some ended with a broken invariant: {text(', '.join(broken))}."
    names = {i["name"] for line in checked for i in line["invariants"]}
    return f"After each of the {count(len(checked), 'night')}, all {count(len(names), 'invariant')} held."


def nights(story):
    checked = story.of("night")
    if not checked:
        return ""
    names = list(dict.fromkeys(i["name"] for line in checked for i in line["invariants"]))
    found = [{i["name"]: i for i in line["invariants"]} for line in checked]
    head = "".join(f'<th scope="col">{morning(line):%a} <b>{morning(line).day}</b></th>' for line in checked)
    rows = "".join(f'<tr><th scope="row">{text(name)}{usual(name, found)}</th>{"".join(cell(night.get(name)) for night in found)}</tr>' for name in names)
    texts = "".join(f"<h4>Morning of {morning(line):%A}, {morning(line).day} {morning(line):%B}</h4><ul>" + "".join(
        f"<li>{tag('good', 'held') if i['holds'] else tag('bad', 'broken')} <b>{text(i['name'])}</b>: {text(i['text'])}</li>" for i in line["invariants"])
        + "</ul>" for line in checked)
    return f"""<section class="nights"><h2>What held after each night</h2><p>After each night, the simulation checks the whole warehouse against what
it knows happened. An invariant is a sentence that must be true then, whatever went wrong during the day. A column is the morning after.</p>
<div class="wide"><table><thead><tr><th scope="col">Invariant</th>{head}</tr></thead><tbody>{rows}</tbody></table></div>
<details><summary>What each check found</summary>{texts}</details></section>"""


def usual(name, found):
    """The text under the name of an invariant: that of the last night on which it held."""
    texts = [night[name]["text"] for night in found if name in night and night[name]["holds"]]
    return f"<span>{text(texts[-1])}</span>" if texts else ""


def cell(invariant):
    if invariant is None:
        return '<td class="none" title="not checked">–</td>'
    kind, sign, words = ("good", "✓", "held") if invariant["holds"] else ("bad", "✗", "broken")
    return f'<td class="{kind}" title="{text(invariant["text"])}"><i aria-hidden="true">{sign}</i><span class="unseen">{words}</span></td>'


# ---------------------------------------------------------------- one customer
def customer(story):
    lines = story.of("counters")
    if not lines:
        return ""
    happened = collections.Counter(line["organization"] for line in story.of("customer"))
    name = max(dict.fromkeys(line["organization"] for line in lines), key=lambda name: happened[name])
    days = {}
    for line in (line for line in lines if line["organization"] == name):
        days.setdefault(line["day"], []).append(line)
    rows = "".join(day_row(story, name, date, found) for date, found in sorted(days.items()))
    return f"""<section class="customer"><h2>One customer: {text(name)}</h2><p>The counters as the service that enforces them reads them, at the end of
each day. Its pipelines stop when a counter reaches the plan's limit.</p>
<div class="wide"><table><thead><tr><th>Day</th><th>Plan</th><th>Runs of the day</th><th>Runs of the month</th><th>Most at once</th><th>What happened</th></tr></thead>
<tbody>{rows}</tbody></table></div></section>"""


def day_row(story, name, date, found):
    last, allowed = found[-1], found[-1].get("allowed") or {}
    happened = [line for line in story.of("customer") if line["organization"] == name and f"{line['at']:%Y-%m-%d}" == date]
    plans = list(dict.fromkeys(text(line["plan"]) for line in found if line.get("plan")))
    events = "".join(f"<li>{stamp(line['at'])} {text(line['text'])}</li>" for line in happened)
    most = max(line["concurrent"] for line in found)
    return f"""<tr><td>{text(spoken_day(date))}</td><td>{' → '.join(plans) or '–'}</td><td>{meter(last['daily'], allowed.get('daily'))}</td>
<td>{meter(last['monthly'], allowed.get('monthly'))}</td><td>{meter(most, allowed.get('concurrent'))}</td><td>{f'<ul>{events}</ul>' if events else ''}</td></tr>"""


def spoken_day(date):
    try:
        day = dt.date.fromisoformat(date)
    except ValueError:
        return date
    return f"{day:%a} {day.day} {day:%b}"


def meter(value, limit):
    if not isinstance(limit, int) or limit <= 0:
        return f"<b>{value:,}</b>"
    share = min(100, 100 * value / limit)
    kind = "bad" if value > limit else "warn" if value == limit else "good"
    return f'<b>{value:,}</b> of {limit:,}<span class="meter {kind}"><i style="width:{share:.1f}%"></i></span>'


# ---------------------------------------------------------------- what went wrong
def events(story):
    """Faults, kills, failed runs and repairs by day, each with the run that it belongs to and what became of that run."""
    days = collections.defaultdict(list)
    killed = {line.get("execution") for line in story.of("kill")}
    for line in story.lines:
        is_bad = line["kind"] == "run" and (look(line) in ("failed", "stopped") or look(line) == "killed" and line["execution"] not in killed)
        if line["kind"] in KINDS or is_bad:
            days[story.day(line["at"])].append(line)
    if not days:
        return '<section><h2>What went wrong, and what repaired it</h2><p class="empty">Nothing went wrong in these days.</p></section>'
    longest = max(days, key=lambda day: len(days[day]))
    found = "".join(f"<details{' open' * (day == longest)}><summary>{story.date(day):%A}, {story.date(day).day} {story.date(day):%B}: {summary(lines)}</summary>"
                    f'<div class="wide"><table><thead><tr><th>Time</th><th>Event</th><th>Job</th><th>What happened</th><th>Outcome of that run</th></tr></thead>'
                    f"<tbody>{''.join(event(story, line) for line in lines)}</tbody></table></div></details>" for day, lines in sorted(days.items()))
    return f'<section class="events"><h2>What went wrong, and what repaired it</h2>{found}</section>'


def summary(lines):
    kinds = collections.Counter(line["kind"] for line in lines)
    words = (("fault", "fault"), ("kill", "kill"), ("run", "failed run"), ("repair", "repair"), ("release", "release"), ("operator", "act of the operator"))
    return ", ".join(count(kinds[kind], noun) if kind != "operator" else f"{kinds[kind]} by the operator's hand" for kind, noun in words if kinds[kind])


def event(story, line):
    job = line.get("job") or story.job_of(line) or ""
    if line["kind"] == "run":
        kind, words, what = LOOKS[look(line)][1], line["outcome"], line["headline"]
    else:
        kind, words = KINDS[line["kind"]]
        what = (f"{line['service']}: " if line["kind"] == "fault" else "") + line["text"]
    where = f'<a href="#{text(job)}">{text(job)}</a>' if job in {r["job"] for r in story.runs} else text(job)
    return f"""<tr title="{text(clock(line['at']))}"><td>{stamp(line['at'], '%H:%M:%S')}</td><td>{tag(kind, words)}</td><td>{where}</td><td>{short(what)}</td>
<td>{became(story, line)}</td></tr>"""


def short(words):
    """A long headline is cut; its whole text shows when one points at it, and stands in the list of the job's runs."""
    return text(words) if len(words) <= MOST else f'<span title="{text(words)}">{text(words[:MOST])}…</span>'


def became(story, line):
    """The outcome of the last attempt of the execution."""
    runs = story.runs_of(line)
    if not runs or line["kind"] == "repair" or line is runs[-1]:
        return ""
    last = runs[-1]
    again = f" on attempt {last['attempt']}" if last["attempt"] else ""
    return tag(LOOKS[look(last)][1], last["outcome"] + again)


def main():
    if len(sys.argv) != 3:
        raise UsageError("usage: python3 -m simulation.week STORY PAGE")
    index = ROOT / "deploy/generated/test/deployment.json"
    page = html(stories.read(sys.argv[1]), json.loads(index.read_text())["jobs"])
    pathlib.Path(sys.argv[2]).write_text(page)
    return 0


if __name__ == "__main__":
    run(main, "stopped")
