"""The list of facts, and the checks that belong to them."""
import dataclasses
import json
import pathlib

FILE = pathlib.Path(__file__).with_name("facts.json")
HOLDS, FAILS, UNCHECKED = "holds", "does not hold", "not checkable here"
CHECKS = {}


@dataclasses.dataclass(frozen=True)
class Fact:
    """`stand_in` is the reason why the check says nothing about a stand-in, `not_checkable` why there is no check at all."""
    id: str
    service: str
    statement: str
    source: str
    code: tuple
    jobs: tuple
    workaround: str
    stand_in: str = ""
    not_checkable: str = ""


@dataclasses.dataclass
class Result:
    fact: Fact
    verdict: str
    observed: str
    # Whether the check itself failed, so that nobody knows what is true.
    is_broken: bool = False

    def json(self):
        fact = self.fact
        return {"id": fact.id, "service": fact.service, "statement": fact.statement, "source": fact.source, "code": list(fact.code),
                "jobs": list(fact.jobs), "workaround": fact.workaround, "observed": self.observed, "verdict": self.verdict,
                "check_failed": self.is_broken}


class NotCheckable(Exception):
    """The check cannot say anything here. The message is the reason."""


class Broken(Exception):
    """A step that a check needs failed."""


def check(*ids):
    """Registers a function of a trial that returns whether the fact holds, and what was observed."""
    def register(function):
        for name in ids:
            if name in CHECKS:
                raise ValueError(f"{name} has two checks")
            CHECKS[name] = function
        return function
    return register


def read(file=FILE):
    facts = [Fact(**{**item, "code": tuple(item["code"]), "jobs": tuple(item["jobs"])}) for item in json.loads(file.read_text())]
    return {fact.id: fact for fact in facts}
