#!/usr/bin/env python3
"""Plants each deviation of deviations.py between assumptions.sh and the stand-ins, and compares what is found with what was planted.

    planting.py [--write] [--only WORDS]

Prints a line for each deviation. --write keeps the lines in deviations.txt, and a whole run without a deviation in local.jsonl and
local.txt. Exit codes: 0 all were found and nothing else, 1 not so.
"""
import argparse
import os
import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(HERE)]

from assumptions import checking, exchange, facts, program  # noqa: E402
from assumptions.local import PROJECT, StandIns  # noqa: E402
from assumptions.services import Google  # noqa: E402
from deployment import google as gcloud  # noqa: E402
from deviations import PLANTED  # noqa: E402
from proxy import Proxy  # noqa: E402


class Field:
    """The stand-ins with a proxy before each, which is used for deviations only."""

    def __init__(self):
        self.stand_ins = StandIns()
        self.direct = {name: getattr(self.stand_ins, name) for name in ("bigquery", "stripe", "google")}
        self.proxies = {name: Proxy(url) for name, url in self.direct.items()}
        port = os.environ["CLOUDSDK_PROXY_PORT"]
        self.google = Google(gcloud.Google(PROJECT))
        self.stand_ins.prepare(self.google)
        os.environ["CLOUDSDK_PROXY_PORT"] = str(self.proxies["google"].server_port)
        self.google_by_proxy = Google(gcloud.Google(PROJECT))
        os.environ["CLOUDSDK_PROXY_PORT"] = port
        self.folder = tempfile.TemporaryDirectory(prefix="assumptions-")

    def trial(self, by_proxy):
        addresses = {name: proxy.url for name, proxy in self.proxies.items()} if by_proxy else self.direct
        self.stand_ins.bigquery, self.stand_ins.stripe = addresses["bigquery"], addresses["stripe"]
        return program.local_trial(self.stand_ins, self.google_by_proxy if by_proxy else self.google, pathlib.Path(self.folder.name))

    def run(self, deviation=None, by_proxy=True):
        """The results of a whole run, after which nothing of it is left."""
        # localstripe cannot list subscriptions whose plan was deleted.
        exchange.send("DELETE", f"{self.direct['stripe']}/_config/data", loopback=True).needed("empty localstripe")
        trial = self.trial(by_proxy)
        trial.record.sweep()
        if deviation:
            self.proxies[deviation.service].deviation = deviation
        try:
            results, stopped = checking.results(trial, list(facts.read().values()))
        finally:
            for proxy in self.proxies.values():
                proxy.deviation = None
            left = trial.record.clean()
        if stopped or left:
            raise RuntimeError(f"the run did not come to its end: {stopped} {left}")
        return results

    def stop(self):
        for proxy in self.proxies.values():
            proxy.shutdown()
            proxy.server_close()
        self.stand_ins.stop()
        self.folder.cleanup()


def verdicts(results):
    return {r.fact.id: (r.verdict, r.is_broken) for r in results}


def found(before, after):
    """The facts whose verdicts differ, with what was observed."""
    known = verdicts(before)
    return {r.fact.id: r.observed for r in after if (r.verdict, r.is_broken) != known[r.fact.id]}


def line(deviation, differing):
    missed, invented = sorted(set(deviation.facts) - set(differing)), sorted(set(differing) - set(deviation.facts))
    outcome = "found" if not missed and not invented else f"MISSED {missed} INVENTED {invented}"
    return f"{outcome}: {deviation.service}: {deviation.name} ({', '.join(sorted(deviation.facts))})"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    field = Field()
    try:
        baseline = field.run(by_proxy=False)
        lines, is_right = [], True
        without = found(baseline, field.run())
        lines.append(f"{'the same' if not without else f'DIFFERENT {without}'}: by the proxies without a deviation")
        for deviation in PLANTED:
            if options.only in deviation.name:
                differing = found(baseline, field.run(deviation))
                lines.append(line(deviation, differing))
                print(lines[-1], flush=True)
                if not lines[-1].startswith("found"):
                    print("  " + "\n  ".join(f"{name}: {text}" for name, text in differing.items()), flush=True)
        is_right = all(text.startswith(("found", "the same")) for text in lines)
        counted = sum(text.startswith("found") for text in lines)
        lines.append(f"{counted} of {len(lines) - 1} planted deviations found, and none invented." if is_right else "NOT ALL WERE FOUND.")
        print(lines[-1])
        if options.write and not options.only:
            (HERE / "deviations.txt").write_text("\n".join(lines) + "\n")
            program.documents.keep(baseline, HERE)
    finally:
        field.stop()
    return 0 if is_right else 1


if __name__ == "__main__":
    sys.exit(main())
