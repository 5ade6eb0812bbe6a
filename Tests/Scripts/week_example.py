"""A story of one simulated week, made by hand: each kind of line, each outcome, and a broken invariant on request."""
import datetime as dt
import json
import random

START = dt.datetime(2026, 3, 2, tzinfo=dt.timezone.utc)
CUSTOMER = "acme_inc"
INVARIANTS = {"counters": "The counters of every organization equal its run log.", "queue": "The queue has lost no item.",
              "schemas": "Every dataset has the tables of the catalog.", "audit": "Each change was audited once."}
SCHEDULE = {"quota-reset-daily": (0, 24 * 60), "stale-cleanup": (0, 15), "quota-cleanup": (60, 24 * 60),
            "billing-sync-retry": (0, 5), "billing-sync-reconcile": (120, 24 * 60)}


def iso(time):
    return time.isoformat().replace("+00:00", "Z")


def lines(seed=1, broken_night=None):
    """The lines by time."""
    chance, found = random.Random(seed), []

    def add(time, kind, **more):
        found.append({"at": iso(time), "kind": kind, **more})

    def run(time, job, outcome="succeeded", changed=0, trigger="scheduled", attempt=0, headline=None, execution=None):
        execution = execution or f"{job}-{len(found)}"
        words = headline or ("nothing to do" if outcome == "succeeded" and not changed else f"{outcome}: {changed} rows changed")
        add(time, "run", job=job, execution=execution, attempt=attempt, ended=iso(time + dt.timedelta(seconds=chance.randint(1, 40))),
            exit=0 if outcome in ("succeeded", "skipped") else 1, outcome=outcome, headline=words, trigger=trigger, changed=changed)
        return execution

    for number, job in enumerate(("bootstrap", "bootstrap-sync", "org-sync-all")):
        run(START + dt.timedelta(minutes=10 + number), job, changed=27, trigger="manual")
    for job, (first, every) in SCHEDULE.items():
        for minute in range(first, 7 * 24 * 60, every):
            time = START + dt.timedelta(minutes=minute, seconds=5)
            roll = chance.random()
            if roll < 0.01:
                execution = run(time, job, "failed", headline="BigQuery answered 503 backendError three times")
                add(time + dt.timedelta(seconds=2), "fault", service="bigquery", execution=execution, text="503 backendError, three times")
            elif roll < 0.015:
                execution = f"{job}-killed-{minute}"
                run(time, job, "killed", headline="Cloud Run ended the container", execution=execution)
                add(time + dt.timedelta(seconds=3), "kill", execution=execution, text="killed after the third request, the write was done")
                run(time + dt.timedelta(seconds=50), job, changed=2, trigger="retry", attempt=1, execution=execution)
                add(time + dt.timedelta(seconds=70), "repair", execution=execution, text="two counters of acme_inc set from the run log")
            elif roll < 0.025:
                run(time, job, trigger="double")
                run(time + dt.timedelta(seconds=1), job, "skipped", trigger="double", headline="another execution holds the lease")
            else:
                run(time, job, changed=chance.choice((0, 0, 0, 3)) if every < 60 else 4)
    add(START + dt.timedelta(days=1, hours=9), "customer", organization=CUSTOMER, text="signed up on STARTER")
    add(START + dt.timedelta(days=3, hours=15), "customer", organization=CUSTOMER, text="moved from STARTER to SCALE")
    add(START + dt.timedelta(days=4, hours=11), "customer", organization="globex", text="canceled its subscription")
    add(START + dt.timedelta(days=2, hours=10), "release", text="a catalog with one more column in cost_data_standard_1_3")
    run(START + dt.timedelta(days=2, hours=10, minutes=5), "org-sync-all", changed=40, trigger="manual")
    add(START + dt.timedelta(days=5, hours=16), "operator", text="changed a counter of acme_inc by hand")
    add(START + dt.timedelta(days=6, hours=3), "fault", service="scheduler", execution=None, text="stale-cleanup was not started at 03:15")
    monthly = 0
    for day in range(7):
        plan, allowed = ("STARTER", {"daily": 6, "monthly": 180, "concurrent": 3}) if day < 3 else ("SCALE", {"daily": 100, "monthly": 3000, "concurrent": 10})
        daily = chance.randint(2, 6) if day < 3 else chance.randint(10, 80)
        monthly += daily
        date = START + dt.timedelta(days=day)
        for hour, share in ((8, 0.3), (14, 0.7), (23, 1)):
            add(date + dt.timedelta(hours=hour), "counters", organization=CUSTOMER, day=f"{date:%Y-%m-%d}", daily=round(daily * share),
                monthly=monthly - daily + round(daily * share), concurrent=1 if hour == 14 else 0, allowed=allowed, plan=plan)
        night = [{"name": name, "holds": not (name == "queue" and day == broken_night), "text": text if day != broken_night or name != "queue"
                  else "item 17 is in neither the queue nor the audit"} for name, text in INVARIANTS.items()]
        add(date + dt.timedelta(days=1) - dt.timedelta(seconds=1), "night", invariants=night)
    return sorted(found, key=lambda line: line["at"])


def write(path, story):
    path.write_text("".join(json.dumps(line) + "\n" for line in story))
    return path


if __name__ == "__main__":
    import pathlib
    import sys
    write(pathlib.Path(sys.argv[1]), lines())
