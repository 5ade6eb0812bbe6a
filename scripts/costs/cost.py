"""scripts/cost.sh: what the jobs need and cost in a month."""
import argparse
import difflib
import json
import sys

from deployment.command import UsageError, run

from .model import DAYS, Model, duration, reaches, read
from .sizes import spoken

USAGE = 64
HEAD = ("Job", "Runs", "Requests", "Billed", "vCPU s", "Dollars", "First limit, reached at", "Tasks")
ALIGN = "<>>>>><>"
SLOTS = ("Slot time: not measured. BigQuery alone reports it (totalSlotMs of a job), and on-demand queries do not pay for it.\n"
         "  SELECT SUM(total_slot_ms) / 1000 FROM `region-us`.INFORMATION_SCHEMA.JOBS, UNNEST(labels) AS l\n"
         "  WHERE l.key = 'job' AND l.value = 'NAME' AND creation_time > TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 30 DAY)")


def arguments(argv):
    parser = argparse.ArgumentParser(prog="scripts/cost.sh", add_help=False, allow_abbrev=False)
    parser.add_argument("--organizations", type=int, action="append")
    parser.add_argument("--environment", default="prod")
    parser.add_argument("--job")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--parameters", action="store_true")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true")
    form.add_argument("--markdown", action="store_true")
    parser.error = lambda message: (parser.print_usage(sys.stderr), sys.exit(parser.exit(USAGE, f"scripts/cost.sh: {message}\n")))
    options = parser.parse_args(argv)
    if any(not 1 <= n <= 10_000_000 for n in options.organizations or []):
        parser.error("--organizations must be from 1 to 10000000")
    options.organizations = options.organizations or [1000, 10_000, 100_000]
    return options


def changed(settings):
    """The parameters that --set changes."""
    known, result = read("parameters.json"), {}
    for setting in settings:
        name, _, text = setting.partition("=")
        if name not in known or isinstance(known[name]["value"], dict):
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            raise UsageError(f"--set: there is no parameter {name}" + (f"; did you mean {near[0]}?" if near else "")
                             + "; --parameters lists them")
        try:
            result[name] = float(text) if "." in text else int(text)
        except ValueError:
            raise UsageError(f"--set: {name} must be a number, not {text or 'nothing'}") from None
        if result[name] < 0 or result[name] == 0 and name in ("stripe_per_second", "at_once", "result_page_rows"):
            raise UsageError(f"--set: {name} must be more than 0, not {text}")
    return result


def rounded(organizations):
    """Two digits of a number of organizations."""
    if organizations < 100:
        return f"{organizations:,}"
    power = 10 ** (len(str(organizations)) - 2)
    return f"{round(organizations / power) * power:,}"


def short(organizations):
    """The same in a table: 43k, 8.5M."""
    for factor, letter in ((1_000_000, "M"), (1000, "k")):
        if organizations >= factor:
            return f"{float(f'{organizations / factor:.2g}'):g}{letter}"
    return str(organizations)


def rows(model, bounds):
    for job in model.jobs:
        number, limit = bounds[job.name]
        reached = f"{limit.partition(' (')[0]}: {short(number)}" if number else "none"
        yield (job.name, f"{job.deployed.runs * job.deployed.tasks:,.0f}", f"{job.requests:,.0f}", spoken(job.bytes),
               f"{job.vcpu_seconds:,.0f}", f"{job.dollars:,.2f}", reached, str(job.tasks()))


def table(lines, markdown):
    if markdown:
        marks = ["---" if a == "<" else "---:" for a in ALIGN]
        return ["| " + " | ".join(line) + " |" for line in [HEAD, marks, *lines]]
    widths = [max(len(line[i]) for line in [HEAD, *lines]) for i in range(len(HEAD))]
    return ["  ".join(f"{cell:{a}{w}}" for cell, a, w in zip(line, ALIGN, widths)).rstrip() for line in [HEAD, *lines]]


def overview(model, bounds, markdown=False):
    before, after = model.total()
    title = f"{model.organizations:,} organizations, a month"
    text = [f"### {title}\n" if markdown else title, *table(list(rows(model, bounds)), markdown)]
    sentence = f"Together {before:,.2f} dollars a month, and {after:,.2f} if nothing else uses the free tiers of the billing account."
    return "\n".join([*text, "" if markdown else "", sentence])


def explanation(model, name, bound):
    job = one(model, name)
    d, p = job.deployed, model.price
    lines = [f"{job.name} with {model.organizations:,} organizations",
             f"  {d.schedule or 'by hand'}: {d.runs:,.1f} runs a month, {d.tasks} task{'s' if d.tasks > 1 else ''}, {d.cpu:g} vCPU,"
             f" {d.gib:g} GiB, timeout {duration(d.timeout)}"]
    for kind, share in job.kinds.items():
        run_cost = job.run[kind]
        work = f", with work for {job.units:,.1f} organizations" if kind == "busy" and job.units else ""
        lines += ["", f"A {kind} run ({share:.1%} of the runs{work}):",
                  f"  requests: {run_cost.bigquery:,.1f} to BigQuery + {run_cost.stripe:,.1f} to Stripe = {run_cost.requests:,.1f}",
                  f"  seconds: {run_cost.words} = {run_cost.seconds:,.1f}, billed {run_cost.billed_seconds:,.1f}",
                  f"  bytes billed: {spoken(run_cost.bytes)}"]
        for number, footprint, billed, parts in run_cost.statements:
            what = footprint["kind"] + (" " + footprint["changes"] if "changes" in footprint else "")
            lines.append(f"    {number:,.0f} x {what.replace('_', ' ', 1) if what == 'CREATE_TABLE' else what}: {spoken(billed)}")
            lines += [f"      {part}" for part in parts]
    lines += ["", "A month:",
              f"  BigQuery   {spoken(job.bytes)} x {p('bigquery_dollars_per_tib')} dollars a TiB"
              f" = {p('bigquery_dollars_per_tib') * job.bytes / 2 ** 40:,.3f}",
              f"  Cloud Run  {job.vcpu_seconds:,.0f} vCPU s x {p('cloud_run_dollars_per_vcpu_second'):.6f}"
              f" + {job.gib_seconds:,.0f} GiB s x {p('cloud_run_dollars_per_gib_second'):.6f} = "
              f"{job.vcpu_seconds * p('cloud_run_dollars_per_vcpu_second') + job.gib_seconds * p('cloud_run_dollars_per_gib_second'):,.3f}",
              f"  Logging    {spoken(job.log_bytes)} x {p('logging_dollars_per_gib')} dollars a GiB"
              f" = {p('logging_dollars_per_gib') * job.log_bytes / 2 ** 30:,.3f}"]
    if d.schedule:
        lines.append(f"  Scheduler  1 trigger x {p('scheduler_dollars_per_job')} = {p('scheduler_dollars_per_job'):.3f}")
    lines += [f"  Together   {job.dollars:,.2f} dollars, before free tiers", "", "Limits, and how much of each a run uses:"]
    lines += [f"  {share:8.2%}  {limit}" for share, limit in sorted(job.limits(), reverse=True)]
    lines.append(f"  The first one that more organizations reach: {bound[1]}, at {rounded(bound[0])}." if bound[0] else
                 "  No number of organizations up to 10,000,000 reaches one.")
    lines += [f"Tasks to use: {job.tasks()}." + ("" if job.name == "org-sync-all" else " This job's work is not divided among tasks."), "", SLOTS]
    return "\n".join(lines)


def one(model, name):
    for job in model.jobs:
        if job.name == name:
            return job
    names = [job.name for job in model.jobs]
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    raise UsageError(f"jobs.yaml has no job {name}" + (f"; did you mean {near[0]}?" if near else "") + f"\nIt has: {', '.join(names)}")


def as_json(models, bounds):
    return json.dumps([{
        "organizations": model.organizations, "dollars_per_month": round(model.total()[0], 4),
        "dollars_per_month_after_free_tiers": round(model.total()[1], 4),
        "jobs": [{
            "job": job.name, "runs": round(job.deployed.runs * job.deployed.tasks, 2), "requests": round(job.requests, 1),
            "bytes_billed": round(job.bytes), "slot_seconds": None, "vcpu_seconds": round(job.vcpu_seconds, 1),
            "gib_seconds": round(job.gib_seconds, 1), "log_bytes": round(job.log_bytes), "dollars": round(job.dollars, 4),
            "nearest_limit": bounds[job.name][1], "reached_at_organizations": bounds[job.name][0], "tasks": job.tasks(),
        } for job in model.jobs if job.name in bounds]} for model in models], indent=2)


def main(argv=None):
    options = arguments(sys.argv[1:] if argv is None else argv)
    if options.parameters:
        for name, parameter in read("parameters.json").items():
            if not isinstance(parameter["value"], dict):
                print(f"{name} = {parameter['value']}\n    {parameter['help']}")
        return 0
    parameters = changed(options.set)
    models = [Model(options.environment, n, parameters) for n in options.organizations]
    names = [one(models[0], options.job).name] if options.job else [job.name for job in models[0].jobs]
    bounds = {name: reaches(options.environment, name, parameters) for name in names}
    if options.json:
        print(as_json(models, bounds))
    elif options.job:
        print("\n\n".join(explanation(model, options.job, bounds[options.job]) for model in models))
    else:
        print("\n\n".join(overview(model, bounds, options.markdown) for model in models))
        if not options.markdown:
            print(f"\nA month has {DAYS:.1f} days. Dollars of a job are before free tiers. Bytes are upper bounds: no value is NULL, and a\n"
                  "table that a statement scans twice counts twice. --job NAME shows the numbers behind a line.\n" + SLOTS)
    return 0


if __name__ == "__main__":
    run(main, lambda: None)
