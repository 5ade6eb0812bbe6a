"""The story that `simulate --story FILE` writes: what happened in the simulated days, one JSON object a line, by time."""
import datetime as dt
import json

from deployment.command import UsageError

MOST_DAYS, EVE = 31, dt.timedelta(hours=4)
# What each kind of line must have; a line may have more.
FIELDS = {
    "run": {"job": str, "execution": str, "attempt": int, "outcome": str, "headline": str, "trigger": str},
    "fault": {"service": str, "text": str},
    "kill": {"text": str},
    "customer": {"organization": str, "text": str},
    "counters": {"organization": str, "day": str, "daily": int, "monthly": int, "concurrent": int},
    "repair": {"text": str},
    "release": {"text": str},
    "operator": {"text": str},
    "night": {"invariants": list},
}
WORDS = {str: "a text", int: "a whole number", list: "a list", bool: "true or false"}


class Story:
    """The lines of a story by kind, and the days that they cover."""

    def __init__(self, lines):
        self.lines = lines
        # A world that is set up late in the evening begins at midnight; its eve stands before the first day.
        self.start = (lines[0]["at"] + EVE).replace(hour=0, minute=0, second=0, microsecond=0)
        # A night that ends the last day may stand at midnight.
        self.days = max(1, -(-(lines[-1]["at"] - self.start) // dt.timedelta(days=1)))
        if self.days > MOST_DAYS:
            raise UsageError(f"the story has {self.days} days, and a page shows {MOST_DAYS} at most; simulate fewer with --days")
        self.runs = self.of("run")
        self.run_of = {}
        for run in self.runs:
            self.run_of.setdefault(run["execution"], []).append(run)
        if not self.runs:
            raise UsageError("the story has no run")

    def of(self, *kinds):
        return [line for line in self.lines if line["kind"] in kinds]

    def runs_of(self, line):
        """The runs of the execution that a fault, kill or repair names."""
        return self.run_of.get(line.get("execution"), [])

    def job_of(self, line):
        runs = self.runs_of(line)
        return runs[0]["job"] if runs else line.get("job")

    def day(self, time):
        """The number of the day, from 0, or -1 for the eve; midnight at the end of the last day belongs to that day."""
        return min(self.days - 1, (time - self.start).days)

    def date(self, day):
        return self.start + dt.timedelta(days=day)


def read(path):
    """The story in a file. The first broken line is an error that names the file and the line."""
    lines = []
    with open(path, encoding="utf-8", errors="replace") as file:
        for number, text in enumerate(file, 1):
            if text.strip():
                try:
                    lines.append(parsed(text))
                except ValueError as error:
                    raise UsageError(f"{path}, line {number}: {error}") from None
                if len(lines) > 1 and lines[-1]["at"] < lines[-2]["at"]:
                    raise UsageError(f"{path}, line {number}: \"at\" is earlier than in the line before")
    if not lines:
        raise UsageError(f"{path}: the story is empty")
    return Story(lines)


def parsed(text):
    """A line with its times as times. Throws ValueError with what is wrong."""
    try:
        line = json.loads(text)
    except ValueError:
        raise ValueError("the line is no JSON") from None
    if not isinstance(line, dict):
        raise ValueError("the line is no JSON object")
    kind = line.get("kind")
    if not isinstance(kind, str) or kind not in FIELDS:
        raise ValueError(f"\"kind\" is {json.dumps(kind)}, not one of {', '.join(FIELDS)}")
    line["at"] = time(line, "at")
    for name, wanted in FIELDS[kind].items():
        check(line, name, wanted)
    if kind == "run":
        line["ended"] = time(line, "ended")
    for invariant in line["invariants"] if kind == "night" else ():
        if not isinstance(invariant, dict):
            raise ValueError("an invariant is no JSON object")
        for name, wanted in (("name", str), ("holds", bool), ("text", str)):
            check(invariant, name, wanted)
    return line


def check(line, name, wanted):
    value = line.get(name)
    if not isinstance(value, wanted) or wanted is int and isinstance(value, bool):
        raise ValueError(f"\"{name}\" must be {WORDS[wanted]}, not {json.dumps(value)}")


def time(line, name):
    try:
        value = dt.datetime.fromisoformat(line[name])
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"\"{name}\" must be a time, not {json.dumps(line.get(name))}") from None
    if value.tzinfo is None:
        raise ValueError(f"\"{name}\" has no time zone: {line[name]}")
    return value.astimezone(dt.timezone.utc)
