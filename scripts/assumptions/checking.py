"""Runs the checks one after the other."""
from . import check_access, check_run, check_scripts, check_statements, check_stripe, check_tables, check_views, containers
from .bounds import Stopped
from .facts import CHECKS, FAILS, HOLDS, UNCHECKED, Broken, NotCheckable, Result
from .report import Progress

# Each registers its checks.
SUBJECTS = (check_statements, check_scripts, check_tables, check_views, check_access, check_run, check_stripe)
# The container's two attempts and the permissions take minutes: they begin first, and are looked at last.
LAST = ("IAM", "SEC", "RUN", "SCH", "LOG", "MON")


def results(trial, facts, progress=None):
    """One result for each fact, in the order of the list. `Stopped` ends the run; the facts that are left are not checkable then."""
    progress = progress or Progress(len(facts))
    found, stopped = {}, None
    try:
        prepare(trial, facts)
        for fact in sorted(facts, key=lambda fact: fact.id.startswith(LAST)):
            progress.show(f"{fact.id} {fact.statement}")
            trial.bounds.check_time()
            found[fact.id] = result(trial, fact)
            progress.step()
    except (Stopped, KeyboardInterrupt) as error:
        stopped = error
    finally:
        progress.end()
    missing = f"the run was stopped before this check: {stopped or 'interrupted'}"
    return [found.get(fact.id) or Result(fact, UNCHECKED, fact.not_checkable or missing) for fact in facts], stopped


def prepare(trial, facts):
    """Starts the container early. What fails here fails again in the checks, which say so."""
    needed = {fact.id for fact in facts if CHECKS.get(fact.id) and not (trial.is_stand_in and fact.stand_in)}
    if trial.google and any(CHECKS[name].__module__ == check_run.__name__ for name in needed):
        try:
            containers.started(trial, "failing")
        except (Broken, NotCheckable):
            pass


def result(trial, fact):
    if fact.not_checkable:
        return Result(fact, UNCHECKED, fact.not_checkable)
    if trial.is_stand_in and fact.stand_in:
        return Result(fact, UNCHECKED, fact.stand_in)
    try:
        holds, observed = CHECKS[fact.id](trial)
        return Result(fact, HOLDS if holds else FAILS, observed)
    except NotCheckable as reason:
        return Result(fact, UNCHECKED, str(reason))
    except Broken as problem:
        return Result(fact, UNCHECKED, f"the check failed: {problem}", is_broken=True)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as problem:
        # An answer without a part that every answer should have.
        return Result(fact, UNCHECKED, f"the check failed on an answer of another form: {type(problem).__name__} {problem}", is_broken=True)
