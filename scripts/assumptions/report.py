"""The page that a person reads, and the progress line of a terminal."""
import shutil
import sys
import textwrap

from .facts import FAILS, HOLDS, UNCHECKED

WIDTH = 118
MARKS = {FAILS: "NO ", HOLDS: "yes", UNCHECKED: " - "}


class Progress:
    """One line that is written over on a terminal; nothing elsewhere."""

    def __init__(self, total, out=None):
        self.total, self.done, self.out = total, 0, out or sys.stderr
        self.is_shown = self.out.isatty()

    def show(self, text):
        if self.is_shown:
            width = shutil.get_terminal_size().columns - 1
            self.out.write(f"\r\033[K{f'{self.done}/{self.total} {text}'[:width]}")
            self.out.flush()

    def step(self):
        self.done += 1

    def end(self):
        if self.is_shown:
            self.out.write("\r\033[K")
            self.out.flush()


def page(results, title, trial=None):
    """The whole report as text."""
    lines = [title, "", counts(results), ""]
    failed = [r for r in results if r.verdict == FAILS]
    if failed:
        lines += ["DOES NOT HOLD", ""]
        for result in failed:
            lines += wrapped(f"{result.fact.id}  ", result.fact.statement)
            lines += wrapped("        observed:   ", result.observed)
            lines += wrapped("        jobs:       ", jobs(result.fact))
            lines += wrapped("        workaround: ", result.fact.workaround)
            lines += wrapped("        code:       ", ", ".join(result.fact.code))
            lines += [f"        source:     {result.fact.source}", ""]
    broken = [r for r in results if r.is_broken]
    if broken:
        lines += ["THE CHECK ITSELF FAILED", ""]
        for result in broken:
            lines += wrapped(f"{result.fact.id}  ", f"{result.observed}")
        lines.append("")
    for service in dict.fromkeys(r.fact.service for r in results):
        lines += [service.upper(), ""]
        for verdict in (FAILS, HOLDS, UNCHECKED):
            for result in results:
                if result.fact.service == service and result.verdict == verdict:
                    lines += wrapped(f"{MARKS[verdict]} {result.fact.id}  ", result.fact.statement)
                    if verdict != FAILS:
                        lines += wrapped("            ", ("not checkable here: " if verdict == UNCHECKED else "") + result.observed)
        lines.append("")
    if trial:
        lines += [f"BigQuery billed {trial.bounds.billed / 1e6:.0f} MB; the run took {trial.bounds.seconds:.0f} s.", ""]
    return "\n".join(lines)


def wrapped(head, text):
    return textwrap.wrap(" ".join(text.split()), WIDTH, initial_indent=head, subsequent_indent=" " * len(head),
                         break_long_words=False, break_on_hyphens=False) or [head.rstrip()]


def jobs(fact):
    return "all" if "all" in fact.jobs else ", ".join(fact.jobs) or "none"


def counts(results):
    found = {verdict: sum(r.verdict == verdict for r in results) for verdict in (HOLDS, FAILS, UNCHECKED)}
    text = (f"{found[HOLDS]} {'fact holds' if found[HOLDS] == 1 else 'facts hold'}, {found[FAILS]} {'does' if found[FAILS] == 1 else 'do'} not hold, "
            f"{found[UNCHECKED]} {'is' if found[UNCHECKED] == 1 else 'are'} not checkable here")
    broken = sum(r.is_broken for r in results)
    return text + (f"; {broken} of these because the check itself failed." if broken else ".")
