"""What is generated from the list of facts and from a whole run against the stand-ins: docs/assumptions.md, and how the stand-ins differ."""
import json
import pathlib
import re

from . import facts, report
from .facts import FAILS, FILE, UNCHECKED

ROOT = pathlib.Path(__file__).resolve().parents[2]
REPORT = ROOT / "Tests/Assumptions/local.jsonl"
BEGIN, END = "<!-- written by scripts/assumptions.sh --write-readmes -->", "<!-- end -->"
STAND_INS = {
    "Tests/Emulator/README.md": ("BigQuery", "BigQuery"),
    "Tests/FakeGoogle/README.md": ("Google", "IAM", "Secret Manager", "Cloud Run", "Cloud Scheduler", "Cloud Logging", "Cloud Monitoring"),
    "Tests/LocalStripe/README.md": ("Stripe", "Stripe"),
}
INTRODUCTION = """# Assumptions

{begin}

The jobs rely on these {count} facts about Google Cloud and Stripe. `scripts/assumptions.sh ENVIRONMENT` checks them on a project and a
Stripe account of tests; it is the first step of [the go-live checklist](go-live.md). Nothing here was ever checked on the real services by
this repository: the facts come from the sources that they name. What the stand-ins of the tests lack is in the READMEs of
[Tests/Emulator](../Tests/Emulator/README.md), [Tests/FakeGoogle](../Tests/FakeGoogle/README.md) and
[Tests/LocalStripe](../Tests/LocalStripe/README.md).

Comments in the code name a fact by its id, as in `(fact BQ-01)`.

To add a fact: write it into `scripts/assumptions/facts.json`, write its check into `scripts/assumptions/check_*.py` (or the reason why there is
none), name its id in the code that relies on it, run `.venv/bin/python Tests/Assumptions/planting.py --write`, and then
`scripts/assumptions.sh --write-readmes`.

| A fact is | if |
|---|---|
| checked | a check runs on the real services and on the stand-ins |
| checked on the real services only | the stand-ins have nothing that could show it |
| not checkable | no program can check it without harm, for the reason that stands there |

"""


def document(known):
    """docs/assumptions.md."""
    text = INTRODUCTION.format(begin=BEGIN, count=len(known))
    for service in dict.fromkeys(fact.service for fact in known.values()):
        text += f"## {service}\n\n"
        for fact in known.values():
            if fact.service == service:
                text += entry(fact)
    return text


def entry(fact):
    how = "checked"
    if fact.not_checkable:
        how = f"not checkable: {sentence_part(fact.not_checkable)}"
    elif fact.stand_in:
        how = f"checked on the real services only: {sentence_part(fact.stand_in)}"
    return (f"### {fact.id}\n\n{fact.statement}\n\n- Source: <{fact.source}>\n- Relied on in: {', '.join(f'`{name}`' for name in fact.code)}\n"
            f"- Jobs affected: {report.jobs(fact)}\n- If it does not hold: {fact.workaround}\n- Check: {how}\n\n")


def sentence_part(text):
    return text[0].lower() + text[1:].rstrip(".")


def section(lines, name, services):
    """How a stand-in differs, from the JSON lines of a whole run."""
    mine = [item for item in lines if item["service"] in services]
    failed = [item for item in mine if item["verdict"] == FAILS]
    unseen = [item for item in mine if item["verdict"] == UNCHECKED]
    text = (f"{BEGIN}\n## Differences from {name} that assumptions.sh found\n\n`scripts/assumptions.sh local` checks the facts of "
            f"[docs/assumptions.md](../../docs/assumptions.md) here. {len(mine) - len(failed) - len(unseen)} of {len(mine)} hold.\n\n")
    if failed:
        text += "These do not hold:\n\n| Fact | Statement | Observed here |\n|---|---|---|\n"
        text += "".join(f"| {i['id']} | {i['statement']} | {cell(i['observed'])} |\n" for i in failed) + "\n"
    if unseen:
        text += "These cannot be seen here:\n\n| Fact | Statement | Reason |\n|---|---|---|\n"
        text += "".join(f"| {i['id']} | {i['statement']} | {cell(i['observed'])} |\n" for i in unseen) + "\n"
    return text + END


def cell(text):
    return f"{' '.join(text.split())}".replace("|", "\\|")


def with_section(readme, text):
    """The README with the section in its place, or at its end."""
    if BEGIN in readme:
        before, after = readme.split(BEGIN)[0], readme.split(END)[1]
        return before + text + after
    return readme.rstrip("\n") + "\n\n" + text + "\n"


def read_report(file=REPORT):
    return [json.loads(line) for line in file.read_text().splitlines()]


def pages(known, lines):
    """The text of each generated file, by its path."""
    found = {"docs/assumptions.md": document(known).rstrip("\n") + "\n"}
    for path, (name, *services) in STAND_INS.items():
        found[path] = with_section((ROOT / path).read_text(), section(lines, name, services))
    return found


def write(arguments):
    files = [a for a in arguments if a != "--write-readmes"]
    lines = read_report(pathlib.Path(files[0]) if files else REPORT)
    known = facts.read(FILE)
    missing = set(known) - {item["id"] for item in lines}
    if missing:
        raise facts.Broken(f"the report lacks {', '.join(sorted(missing))}: run .venv/bin/python Tests/Assumptions/planting.py --write")
    for path, text in pages(known, lines).items():
        (ROOT / path).write_text(text)
        print(f"wrote {path}")
    return 0


def keep(results, folder):
    """The JSON lines and the page of a whole run against the stand-ins, without what differs from run to run."""
    lines = [steady(json.dumps(r.json(), ensure_ascii=False)) for r in results]
    (folder / "local.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "local.txt").write_text(steady(report.page(results, "Assumptions of local: the stand-ins of Tests/.")))


def steady(text):
    """Names of runs and resources are random, and times are those of one machine."""
    text = re.sub(r"\d{8}t\d{4}([-_])[0-9a-f]{6}", r"RUN", text)
    text = re.sub(r"bqemu_[0-9a-f]{12}", "bqemu_JOB", text)
    return re.sub(r'\\?"[0-9a-f]{16}\\?"', "ETAG", text)
