"""The page of list-jobs.sh --html: one file, no script, nothing loaded."""
import html as markup
import pathlib
import urllib.parse

from . import article
from .command import number
from .state import ATTENTION, ORDER, STATES

CONSOLE = "https://console.cloud.google.com"


def html(overview):
    desired = overview.desired
    jobs = sorted(overview.jobs, key=lambda s: ORDER.index(s.state))
    style = (pathlib.Path(__file__).parent / "page.css").read_text()
    title = f"Scheduler jobs · {desired.environment}"
    choices = filters(overview)
    sections = [section("Different from jobs.yaml", [article.live_and_wanted(line) for line in overview.differences]),
                section("Not in jobs.yaml", overview.orphans), section("Not ours yet", overview.takeovers),
                section("Left by a former deployment", [item.text for item in overview.leftovers]), section("Not ours", overview.foreign),
                section("Not read", overview.unread)]
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer"><title>{text(title)}</title><style>{style}{rules(choices)}</style></head><body><main>
<header><h1>{text(title)}</h1>
<p>{text(desired.project)} · {text(desired.region)} · {overview.now:%d %B %Y, %H:%M} UTC</p>
<p class="verdict">{verdict(jobs)}</p>
<nav aria-label="Google Cloud console">{links(overview)}</nav></header>
{''.join(radio(key, index == 0) for index, (key, *_) in enumerate(choices))}
<div class="cards" role="group" aria-label="Show only">{''.join(card(*choice) for choice in choices)}</div>
<div class="jobs">{''.join(article.html(state, overview) for state in jobs)}</div>
{article.legend(overview)}
{chain(overview.jobs)}
{''.join(sections)}</main></body></html>
"""


def text(value):
    return markup.escape(str(value))


def console(path, project, **query):
    return f"{CONSOLE}/{path}?{urllib.parse.urlencode({**query, 'project': project})}"


def link(url, words):
    return f'<a href="{text(url)}" rel="noopener noreferrer">{text(words)}</a>'


def links(overview):
    project = overview.desired.project
    found = [link(console("run/jobs", project), "Jobs"), link(console("cloudscheduler", project), "Triggers"),
             link(console("monitoring/alerting", project), "Alerts")]
    if overview.dashboard:
        found.append(link(console(f"monitoring/dashboards/builder/{urllib.parse.quote(overview.dashboard)}", project), "Dashboard"))
    return " ".join(found)


def verdict(jobs):
    """The answer to the first question."""
    bad = [s for s in jobs if s.state in ATTENTION]
    if not bad:
        return "No job needs anybody."
    named = [f'<a href="#{text(s.job["job"])}">{text(s.job["job"])}</a> {text(STATES[s.state].sentence)}' for s in bad]
    verb = "needs" if len(bad) == 1 else "need"
    return f"{len(bad)} of {number(len(jobs), 'job')} {verb} a person: {', '.join(named)}."


def filters(overview):
    """Pairs of a key and what its card shows. The states add up to all jobs; the differences count across them."""
    states = [s.state for s in overview.jobs]
    choices = [("all", len(states), "jobs", "")]
    choices += [(STATES[name].key, states.count(name), name, STATES[name].kind) for name in ORDER if name in states]
    different = sum(bool(s.drift) for s in overview.jobs)
    return choices + ([("different", different, "differ from jobs.yaml", "warn")] if different else [])


def rules(choices):
    """What the cards show and hide. It works without a script, because a card is the label of a radio button."""
    keys = [key for key, *_ in choices]
    hidden = [f"#show-{key}:checked ~ .jobs article:not(.is-{key})" for key in keys if key != "all"]
    chosen = [f"#show-{key}:checked ~ .cards [for=show-{key}]" for key in keys]
    focused = [f"#show-{key}:focus-visible ~ .cards [for=show-{key}]" for key in keys]
    found = f"{', '.join(chosen)} {{ border-color: var(--ink); box-shadow: inset 0 0 0 1px var(--ink); }}\n"
    found += f"{', '.join(focused)} {{ outline: 3px solid var(--busy); outline-offset: 2px; }}\n"
    return found + (f"@media screen {{ {', '.join(hidden)} {{ display: none; }} }}\n" if hidden else "")


def radio(key, is_chosen):
    return f'<input class="choice" type="radio" name="show" id="show-{key}"{" checked" if is_chosen else ""}>'


def card(key, count, words, kind):
    return f'<label class="card {kind}" for="show-{key}"><b>{count}</b><span>{text(words)}</span></label>'


VERDICTS = {"holds": "good", "broken": "bad", "unreadable": "warn"}


def chain(jobs):
    """The results of the last nights, as the summaries of verify have them. Each digest covers the one before it."""
    rows = [summary.chain for state in jobs if state.job["job"] == "verify"
            for summary in map(state.summary_of, state.history) if summary and summary.chain]
    if not rows:
        return ""
    older = rows[1:] + [None]
    lines = "".join(night(row, before) for row, before in zip(rows, older))
    return ("<section><h2>Verified nights</h2><table><thead><tr><th>Row</th><th>As of</th><th>Verdict</th><th>Digest</th>"
            f"<th>Row before</th></tr></thead><tbody>{lines}</tbody></table></section>")


def night(row, before):
    """A line of the chain. `before` is the next older one that the log has."""
    previous = row.get("previous")
    is_next = before is not None and int(before["number"]) == int(row["number"]) - 1
    words, kind = (f"{previous[:12]}", "") if previous else ("none", "")
    if is_next and previous != before["digest"]:
        words, kind = f"{words}, and the log says {before['digest'][:12]}", "bad"
    mark = f'<span class="tag {kind}">{text(words)}</span>' if kind else f"<code>{text(words)}</code>"
    verdict_kind = VERDICTS.get(row.get("verdict"), "none")
    return (f'<tr><td>{text(row["number"])}</td><td>{text(row.get("instant", ""))[:16].replace("T", " ")}</td>'
            f'<td><span class="tag {verdict_kind}">{text(row.get("verdict", ""))}</span></td>'
            f'<td><code>{text(row["digest"][:12])}</code></td><td>{mark}</td></tr>')


def section(title, lines):
    if not lines:
        return ""
    return f'<section><h2>{text(title)}</h2><ul>{"".join(f"<li>{text(line)}</li>" for line in lines)}</ul></section>'
