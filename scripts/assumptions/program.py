"""The program behind assumptions.sh: arguments, the environment, signals, cleaning, exit code."""
import base64
import json
import os
import re
import signal
import sys

from deployment import google as gcloud
from deployment.command import DONE, FAILED, MISSING, STOPPED, USAGE, Output, Parser, UsageError
from deployment.desired import ROOT, Desired

from . import checking, documents, facts, report
from .bounds import Stopped, most_dollars
from .facts import Broken
from .local import LOCATION, PROJECT, REGION, SECRET, StandIns
from .services import Google, Stripe
from .trial import Trial

CONFIGURATION = 78
STRIPE = "https://api.stripe.com"
JOURNAL = ROOT / ".assumptions"


class Refusal(Exception):
    """A configuration with which the program does not begin."""


def arguments():
    parser = Parser("assumptions.sh")
    parser.add_argument("--only", action="append", default=[], metavar="ID")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def chosen(known, names):
    """The facts with these ids, or all."""
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError(f"there is no fact {', '.join(unknown)}; docs/assumptions.md lists them")
    return [fact for fact in known.values() if not names or fact.id in names]


# ---------------------------------------------------------------- the environment
def refuse_prod(desired):
    """By the name of the environment, and by its project, which another environment may name by mistake."""
    production = {Desired(p.parent.name).project for p in (ROOT / "deploy/generated").glob("*/deployment.json") if p.parent.name == "prod"}
    if desired.environment == "prod" or desired.project in production or desired.index.get("confirm"):
        raise Refusal(f"{desired.environment} is production (project {desired.project}): this program creates resources, and runs on projects of "
                      "tests only")


def location_of(desired):
    """BIGQUERY_LOCATION of the jobs, as jobs.yaml has it."""
    for resource in desired.resources.values():
        for variable in resource["spec"]["template"]["spec"]["template"]["spec"]["containers"][0]["env"]:
            if variable["name"] == "BIGQUERY_LOCATION":
                return variable["value"]
    return "US"


def test_key(key):
    """A key of test mode. No message shows a key."""
    if not re.match(r"(sk|rk)_test_\w+$", key):
        raise Refusal("the key of Stripe is not one of test mode: only keys that begin with sk_test_ or rk_test_ are used")
    return key


def stripe_key(google, project, reference):
    """The key and, if it came from there, the secret's name. It is taken from STRIPE_SECRET_KEY, or where the jobs have it from (fact SEC-01)."""
    if os.environ.get("STRIPE_SECRET_KEY"):
        return test_key(os.environ["STRIPE_SECRET_KEY"].strip()), None, "the key of Stripe comes from STRIPE_SECRET_KEY"
    if not reference:
        return None, None, "the jobs of the environment have no secret STRIPE_SECRET_KEY"
    name, version = reference
    answer = google.call("GET", "secretmanager", f"v1/projects/{project}/secrets/{name}/versions/{version}:access")
    if not answer.is_ok:
        return None, None, f"the secret {name} could not be read ({answer}); set STRIPE_SECRET_KEY"
    return test_key(base64.b64decode(answer.json["payload"]["data"]).decode().strip()), name, ""


def secret_reference(desired):
    for resource in desired.resources.values():
        for variable in resource["spec"]["template"]["spec"]["template"]["spec"]["containers"][0]["env"]:
            if variable["name"] == "STRIPE_SECRET_KEY" and "valueFrom" in variable:
                found = variable["valueFrom"]["secretKeyRef"]
                return found["name"], found["key"]
    return None


def real_trial(environment):
    desired = Desired(environment)
    refuse_prod(desired)
    for name in ("BIGQUERY_EMULATOR_HOST", "STRIPE_API_BASE", "FAKE_GOOGLE_URL"):
        if os.environ.get(name):
            raise Refusal(f"{name} leads to a stand-in: unset it, or run scripts/assumptions.sh local")
    google = Google(gcloud.Google(desired.project))
    key, secret, missing = stripe_key(google, desired.project, secret_reference(desired))
    trial = Trial(desired.project, desired.region, location_of(desired), JOURNAL / environment, google,
                  key and (lambda labels: Stripe(key, STRIPE, labels, False)))
    trial.state["secret"], trial.missing = secret, {"stripe": missing, "secret": missing}
    return trial


def local_trial(stand_ins, google, folder=JOURNAL / "local"):
    key, secret, missing = stripe_key(google, PROJECT, (SECRET, "latest"))
    trial = Trial(PROJECT, REGION, LOCATION, folder, google, lambda labels: Stripe(key, stand_ins.stripe, labels, True),
                  stand_ins.bigquery, stand_in=True, limit=3)
    trial.state["secret"], trial.missing = secret, {"secret": missing}
    return trial


# ---------------------------------------------------------------- the run
def stop_on_signals():
    def stop(number, _):
        # From here on the deletions are not interrupted.
        ignore_signals()
        raise Stopped(f"{signal.Signals(number).name} was received")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)


def ignore_signals():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def run(trial, wanted, title, as_json):
    """Prints the results and returns the exit code. Whatever happens, what the run created is deleted."""
    gone, stuck = trial.record.sweep()
    for line in gone:
        print(f"deleted what a former run left: {line}", file=sys.stderr)
    stop_on_signals()
    found, stopped, left = [], None, []
    try:
        found, stopped = checking.results(trial, wanted, report.Progress(len(wanted)))
    finally:
        ignore_signals()
        left = trial.record.clean() + stuck
    if as_json:
        for result in found:
            print(json.dumps(result.json(), ensure_ascii=False))
    else:
        print(report.page(found, title, trial))
    for line in left:
        print(f"not deleted: {line}; the next run tries again", file=sys.stderr)
    if stopped:
        print(f"stopped early: {stopped}", file=sys.stderr)
        return STOPPED
    return FAILED if left or any(r.verdict == facts.FAILS or r.is_broken for r in found) else DONE


def main():
    if "--write-readmes" in sys.argv[1:]:
        return documents.write(sys.argv[1:])
    options = arguments()
    wanted = chosen(facts.read(), options.only)
    title = f"Assumptions of {options.environment}. A whole run costs {most_dollars():.2f} dollars at most."
    if options.environment != "local":
        return run(real_trial(options.environment), wanted, title, options.json)
    stand_ins = StandIns()
    try:
        google = Google(gcloud.Google(PROJECT))
        stand_ins.prepare(google)
        return run(local_trial(stand_ins, google), wanted, title, options.json)
    finally:
        stand_ins.stop()


def start():
    sys.stdout, sys.stderr = Output(sys.stdout), Output(sys.stderr)
    try:
        code = main()
        sys.stdout.flush()
        sys.exit(code)
    except UsageError as error:
        end(USAGE, error)
    except gcloud.GcloudMissing as error:
        end(MISSING, error)
    except Refusal as error:
        end(CONFIGURATION, error)
    except (Stopped, KeyboardInterrupt) as error:
        end(STOPPED, f"stopped early: {error or 'interrupted'}")
    except (Broken, gcloud.GoogleError, OSError) as error:
        end(CONFIGURATION, error)


def end(code, message):
    print(f"assumptions.sh: {message}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    start()
