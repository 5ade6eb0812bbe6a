"""What a run created: recorded before it is created, and deleted only if it bears the mark of this program."""
import datetime as dt
import json
import os
import re
import secrets
import sys
import threading

from .facts import Broken

LABEL, WORD = "created-by", "assumptions"
# Older than any run can be.
MINUTES = 30
NAME = re.compile(r"assumptions[-_](\d{8}t\d{4})[-_]([0-9a-f]{6})")


class Run:
    """The names of one run: `assumptions_20261201t0430_1a2b3c_tables`."""

    def __init__(self, now=None):
        self.id = f"{now or dt.datetime.now(dt.timezone.utc):%Y%m%dt%H%M}-{secrets.token_hex(3)}"
        self.labels = {LABEL: WORD, "assumptions-run": self.id}

    def dashed(self, suffix):
        return f"assumptions-{self.id}-{suffix}"

    def underscored(self, suffix):
        return self.dashed(suffix).replace("-", "_")

    @property
    def account(self):
        """At most 30 characters."""
        return f"assumptions-{self.id[4:].replace('t', '-')}"[:30]

    @property
    def mark(self):
        return f"Created by scripts/assumptions.sh, run {self.id}."


def is_old(name, now=None):
    """Whether a name is one of this program's, of a run that must be over."""
    found = NAME.search(name)
    if not found:
        return False
    created = dt.datetime.strptime(found[1], "%Y%m%dt%H%M").replace(tzinfo=dt.timezone.utc)
    return (now or dt.datetime.now(dt.timezone.utc)) - created > dt.timedelta(minutes=MINUTES)


class Record:
    """The file of a run's names. A kind of resource knows how to read, recognize and delete what has a name."""

    def __init__(self, folder, run, kinds):
        self.run, self.kinds, self._lock = run, kinds, threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.file = folder, folder / f"{run.id}.{os.getpid()}.jsonl"
        self.names = []

    def note(self, kind, name):
        """Before the creation: so a name may be recorded of something that does not exist."""
        with self._lock:
            self.names.append((kind, name))
            with open(self.file, "a", encoding="utf-8") as file:
                file.write(json.dumps([kind, name]) + "\n")
                file.flush()
                os.fsync(file.fileno())

    def forget(self, kind, name):
        with self._lock:
            self.names.remove((kind, name))

    def clean(self):
        """Deletes what this run created, the newest first. Returns what could not be deleted, as lines."""
        left = delete(self.kinds, reversed(self.names))
        if not left:
            self.file.unlink(missing_ok=True)
        return left

    def sweep(self):
        """Deletes what former runs left: what is in the files of runs that have ended, and what has the mark and an old name.
        Returns the names that were deleted, and what could not be."""
        names, files = [], []
        for file in sorted(self.folder.glob("*.jsonl")):
            if file != self.file and not is_alive(int(file.name.split(".")[-2])):
                files.append(file)
                names += [tuple(json.loads(line)) for line in file.read_text().splitlines() if line.endswith("]")]
        for kind, known in self.kinds.items():
            try:
                names += [(kind, name) for name in known.old_names() if (kind, name) not in names]
            except Broken as error:
                # Where a kind cannot be listed, such as in a service that is not enabled, none was created.
                print(f"did not look for what a former run left of the kind {kind}: {error}", file=sys.stderr)
        gone = []
        left = delete(self.kinds, reversed(names), gone)
        if not left:
            for file in files:
                file.unlink(missing_ok=True)
        return gone, left


def is_alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def delete(kinds, names, gone=None):
    """Reads each resource and its mark before it deletes it."""
    left = []
    for kind, name in names:
        if kind not in kinds:
            left.append(f"{kind} {name}: its service cannot be reached in this run")
            continue
        try:
            found = kinds[kind].read(name)
            if found is None:
                continue
            if not kinds[kind].is_marked(found):
                left.append(f"{kind} {name} does not bear the mark of this program, and stays")
                continue
            kinds[kind].delete(name)
            if gone is not None:
                gone.append(f"{kind} {name}")
        except Exception as error:  # noqa: BLE001 -- each of the others still gets its turn
            left.append(f"{kind} {name}: {error}")
    return left
