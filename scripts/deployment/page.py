"""The page of list-jobs.sh --html: one file, no script, nothing loaded."""
import html as markup
import math
import pathlib

from .command import number, spoken

WORDS = {"succeeded": "good", "failed": "bad", "cancelled": "bad", "running": "busy", "never run": "none", "not deployed": "bad"}
WIDTH, HEIGHT, STEP = 480, 44, 12


def html(overview):
    desired, jobs = overview.desired, overview.jobs
    style = (pathlib.Path(__file__).parent / "page.css").read_text()
    title = f"Scheduler jobs · {desired.environment}"
    cards = [
        card(len(jobs), "jobs", ""),
        card(sum(s.status == "succeeded" for s in jobs), "last run succeeded", "good"),
        card(sum(s.status in ("failed", "cancelled") for s in jobs), "last run failed", "bad"),
        card(sum(s.is_overdue for s in jobs), "overdue", "warn"),
        card(sum(bool(s.drift) for s in jobs) + len(overview.differences), "different from jobs.yaml", "warn"),
    ]
    sections = [section("Different from jobs.yaml", overview.differences), section("Not in jobs.yaml", overview.orphans),
                section("Not ours yet", overview.takeovers), section("Left by a former deployment", [item.text for item in overview.leftovers]),
                section("Not ours", overview.foreign),
                section("Not compared", [f"access: {overview.access_refusal}"] if overview.access_refusal else [])]
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{text(title)}</title><style>{style}</style></head><body><main>
<header><h1>{text(title)}</h1>
<p>{text(desired.project)} · {text(desired.region)} · {overview.now:%d %B %Y, %H:%M} UTC</p></header>
<div class="cards">{''.join(cards)}</div>
<div class="jobs">{''.join(row(state) for state in jobs)}</div>
<p class="legend"><i class="good"></i>succeeded <i class="bad"></i>failed or cancelled <i class="busy"></i>running
<span>Each bar is one execution, the newest on the right; a taller bar took longer.</span></p>
{''.join(sections)}</main></body></html>
"""


def text(value):
    return markup.escape(str(value))


def card(count, words, kind):
    return f'<div class="card {kind if count else ""}"><b>{count}</b><span>{text(words)}</span></div>'


def row(state):
    job, now = state.job, state.now
    tags = ['<em class="tag warn">overdue</em>'] if state.is_overdue else []
    tags += ['<em class="tag warn">paused</em>'] if state.is_paused else []
    facts = [("Schedule", job["schedule"] or "by hand"), ("Next", coming(state))]
    if state.last:
        facts += [("Last", f"{spoken((now - state.last.created).total_seconds())} ago"), ("Took", spoken(state.last.seconds(now)))]
    drift = f'<ul class="drift">{"".join(f"<li>{text(d)}</li>" for d in state.drift)}</ul>' if state.drift else ""
    return f"""<article><div class="what"><h2>{text(job['job'])} <em class="tag {WORDS[state.status]}">{text(state.status)}</em>{''.join(tags)}</h2>
<p>{text(job['purpose'])}</p></div>
<dl>{''.join(f'<div><dt>{text(k)}</dt><dd>{text(v)}</dd></div>' for k, v in facts)}</dl>
<figure>{picture(state)}</figure>{drift}</article>"""


def coming(state):
    if not state.job["schedule"]:
        return "when started"
    if state.is_paused:
        return "paused"
    return f"{state.next_run:%d %b, %H:%M}" if state.next_run else "no trigger"


def picture(state):
    """A bar for each execution; its height grows with the square root of its duration."""
    history = state.history[:WIDTH // STEP][::-1]
    if not history:
        return '<p class="empty">no executions yet</p>'
    longest = max(math.sqrt(e.seconds(state.now)) for e in history) or 1
    first = WIDTH - len(history) * STEP
    bars = []
    for index, execution in enumerate(history):
        height = 6 + (HEIGHT - 8) * math.sqrt(execution.seconds(state.now)) / longest
        label = (f"{execution.name}: {execution.status}, {execution.created:%d %b %H:%M} UTC, "
                 f"{spoken(execution.seconds(state.now))}")
        bars.append(f'<rect class="{WORDS[execution.status]}" x="{first + index * STEP + 1}" y="{HEIGHT - height:.1f}" '
                    f'width="{STEP - 3}" height="{height:.1f}" rx="2"><title>{text(label)}</title></rect>')
    failed = sum(e.status in ("failed", "cancelled") for e in history)
    name = f"{number(len(history), 'execution')} of {state.job['job']}, {failed} failed"
    return (f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{text(name)}">'
            f'<line x1="0" x2="{WIDTH}" y1="{HEIGHT - .5}" y2="{HEIGHT - .5}"/>{"".join(bars)}</svg>')


def section(title, lines):
    if not lines:
        return ""
    return f'<section><h2>{text(title)}</h2><ul>{"".join(f"<li>{text(line)}</li>" for line in lines)}</ul></section>'
