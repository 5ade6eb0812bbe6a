"""Jobs by the names that people type."""
import difflib


def find(desired, name):
    """The job with this short or full name; ends the program with a suggestion where there is none."""
    for job in desired.jobs:
        if name in (job["job"], job["name"]):
            return job
    known = [j["job"] for j in desired.jobs]
    near = difflib.get_close_matches(name.removeprefix(desired.index["prefix"]), known, n=1, cutoff=0.5)
    raise UnknownJob(f"jobs.yaml has no job {name}" + (f"; did you mean {near[0]}?" if near else "")
                     + f"\nIt has: {', '.join(known)}")


class UnknownJob(Exception):
    """Nothing has this name."""
