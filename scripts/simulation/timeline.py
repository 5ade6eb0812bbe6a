"""The timeline of the page: one lane for each job, one for the customers and one for what was done from outside."""
import collections
import datetime as dt
import html as markup

# A job with more runs a day than this gets a strip with one bar an hour, because single marks would cover each other.
SPARSE = 12
HOUR = dt.timedelta(hours=1)

# The looks of a run with their words and the kind of their tag, from the plainest to the one that matters most.
LOOKS = {
    "idle": ("succeeded, nothing to do", "none"),
    "did": ("succeeded and changed something", "good"),
    "skipped": ("skipped, another execution was at work", "warn"),
    "stopped": ("stopped early", "warn"),
    "failed": ("failed", "bad"),
    "killed": ("killed", "bad"),
}
OUTCOMES = {"skipped": "skipped", "stopped": "stopped", "killed": "killed"}


def text(value):
    return markup.escape(str(value))


def look(run):
    """An outcome that this page does not know counts as a failure."""
    if run["outcome"] == "succeeded":
        return "did" if run.get("changed") else "idle"
    return OUTCOMES.get(run["outcome"], "failed")


def clock(time):
    return f"{time:%a} {time.day} {time:%b}, {time:%H:%M:%S}"


def stamp(time, form="%H:%M"):
    return f'<time datetime="{time:%Y-%m-%dT%H:%M:%SZ}">{time:{form}}</time>'


def tag(kind, words):
    return f'<em class="tag {kind}">{text(words)}</em>'


def html(story, jobs):
    days = "".join(f"<span>{story.date(day):%a} <b>{story.date(day).day}</b></span>" for day in range(story.days))
    lanes = [lane(story, job, [r for r in story.runs if r["job"] == job["job"]]) for job in jobs]
    world = [world_lane(story, "Customers", "Sign-ups, plan changes, pipelines", story.of("customer")),
             world_lane(story, "From outside", "Releases, the operator's hand, faults of no single run",
                        [line for line in story.of("release", "operator", "fault", "kill") if story.job_of(line) is None])]
    return f"""<section class="timeline" style="--days:{story.days}"><h2>The {story.days} days</h2>
<p>Time runs from left to right. A job that runs often has one bar an hour; its colors show what share of the hour's runs had which outcome.
Every mark has a text that shows when you point at it, and the lists below each lane have all of them.</p>
{legend()}<div class="days" aria-hidden="true"><div></div><div class="scale">{days}</div></div>
{''.join(lanes)}{''.join(world)}</section>"""


def legend():
    items = [f'<span><i class="m {name}"></i>{text(words)}</span>' for name, (words, _) in LOOKS.items()]
    items += [f'<span><i class="m {kind}"></i>{words}</span>' for kind, words in (
        ("fault", "a fault of a service"), ("kill", "the container was killed"), ("repair", "something was repaired"), ("customer", "a customer"),
        ("release", "a release"), ("operator", "the operator"))]
    return f'<p class="legend">{"".join(items)}</p>'


def lane(story, job, runs):
    name = job["job"]
    outside = [line for line in story.of("fault", "kill", "repair") if story.job_of(line) == name]
    counts = collections.Counter(look(run) for run in runs)
    summary = ", ".join(f"{counts[key]} {words}" for key, (words, _) in LOOKS.items() if counts[key]) or "no run in this story"
    dense = len(runs) > SPARSE * story.days
    body = strip(story, runs) if dense else "".join(mark(story, run, look(run), run_title(run)) for run in runs)
    body += "".join(mark(story, line, line["kind"], f"{clock(line['at'])}: {line['text']}") for line in outside)
    found = f"<details><summary>{count(len(runs), 'run')}</summary>{run_list(story, runs, dense)}</details>" if runs else ""
    return f"""<article id="{text(name)}"><div class="what"><h3>{text(name)}</h3><p>{text(job['purpose'])} <span>Starts {text(job['schedule_words'])}.</span></p></div>
<div><div class="lane{' dense' if dense else ''}" role="img" aria-label="{text(name)}: {text(summary)}">{body}</div>{found or f'<p class="empty">{text(summary)}</p>'}</div></article>"""


def world_lane(story, name, words, lines):
    if not lines:
        return ""
    marks = "".join(mark(story, line, line["kind"], f"{clock(line['at'])}: {sentence(line)}") for line in lines)
    rows = "".join(f"<li>{stamp(line['at'], '%a %d, %H:%M')} {text(sentence(line))}</li>" for line in lines)
    return f"""<article class="world"><div class="what"><h3>{text(name)}</h3><p>{text(words)}</p></div>
<div><div class="lane" role="img" aria-label="{text(name)}: {count(len(lines), 'event')}">{marks}</div>
<details><summary>{count(len(lines), 'event')}</summary><ul>{rows}</ul></details></div></article>"""


def sentence(line):
    subject = line.get("organization") or line.get("service") or line["kind"]
    return f"{subject}: {line['text']}"


def mark(story, line, kind, title):
    return f'<i class="m {kind}" style="left:{place(story, line["at"]):.3f}%" title="{text(title)}"></i>'


def place(story, time):
    return max(0, min(100, 100 * ((time - story.start) / dt.timedelta(days=story.days))))


def strip(story, runs):
    """One bar an hour. Its parts are the shares of the looks; a rare one still gets a part that can be seen."""
    hours = collections.defaultdict(collections.Counter)
    for run in runs:
        hours[max(0, min(story.days * 24 - 1, (run["at"] - story.start) // HOUR))][look(run)] += 1
    found = []
    for hour, counts in sorted(hours.items()):
        begin = story.start + hour * HOUR
        words = ", ".join(f"{counts[key]} {LOOKS[key][0]}" for key in LOOKS if counts[key])
        parts = "".join(f'<b class="{key}" style="flex-grow:{max(counts[key], counts.total() / (4 if LOOKS[key][1] == "bad" else 10)):.3g}"></b>'
                        for key in reversed(LOOKS) if counts[key])
        found.append(f'<i class="bin" style="left:{place(story, begin):.3f}%;width:{100 / 24 / story.days:.3f}%" '
                     f'title="{begin:%a} {begin.day} {begin:%b}, {begin:%H:%M} to {begin + HOUR:%H:%M}: {text(words)}">{parts}</i>')
    return "".join(found)


def run_title(run):
    again = f", attempt {run['attempt']}" if run["attempt"] else ""
    return f"{clock(run['at'])}: {LOOKS[look(run)][0]} ({run['trigger']}{again}): {run['headline']}"


def run_list(story, runs, dense):
    """All runs by day. Of a job that runs often, plain runs are listed by their times alone."""
    days = collections.defaultdict(list)
    for run in runs:
        days[story.day(run["at"])].append(run)
    found = ""
    for day, runs in sorted(days.items()):
        plain = [r for r in runs if dense and look(r) in ("idle", "did") and r["trigger"] == "scheduled" and not r["attempt"]]
        single = [r for r in runs if r not in plain] if plain else runs
        groups = [(key, [r for r in plain if look(r) == key]) for key in ("idle", "did")]
        lists = "".join(f'<p class="times">{tag(LOOKS[key][1], f"{len(group)} {LOOKS[key][0]}")} {" ".join(stamp(r["at"]) for r in group)}</p>'
                        for key, group in groups if group)
        rows = "".join(f"""<tr><td>{stamp(r['at'], '%H:%M:%S')}</td><td>{tag(LOOKS[look(r)][1], r['outcome'])}</td><td>{text(started(r))}</td>
<td>{text(r['headline'])}</td><td>{took(r)}</td></tr>""" for r in single)
        table = f'<div class="wide"><table class="runs"><tbody>{rows}</tbody></table></div>' if rows else ""
        found += f"<h4>{story.date(day):%A}, {story.date(day).day} {story.date(day):%B}</h4>{lists}{table}"
    return found


def started(run):
    return run["trigger"] + (f", attempt {run['attempt']}" if run["attempt"] else "")


def took(run):
    seconds = (run["ended"] - run["at"]).total_seconds()
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def count(number, noun):
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
