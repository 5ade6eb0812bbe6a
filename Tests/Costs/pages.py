#!/usr/bin/env python3
"""Writes the computed parts of docs/costs.md: what is between <!-- computed: NAME --> and <!-- /computed -->.

    Tests/Costs/pages.py [--check]

With --check the program compares and ends with 1 if the page is out of date.
"""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
from costs.cost import overview              # noqa: E402
from costs.model import Model, reaches, read      # noqa: E402

PAGE = ROOT / "docs/costs.md"
SIZES = (1000, 10_000, 100_000)


def tables():
    models = [Model("prod", n) for n in SIZES]
    bounds = {job.name: reaches("prod", job.name, {}) for job in models[0].jobs}
    return "\n\n".join(overview(model, bounds, markdown=True) for model in models)


def unverified():
    facts = read("facts.json")
    return "\n".join(f"- `{name}`: {fact['value']:f}".rstrip("0").rstrip(".") + f". {fact['note']} ({fact['source']})"
                     for name, fact in (facts["prices"] | facts["limits"]).items() if not fact["verified"])


def parameters():
    lines = [f"| `{name}` | {p['value']} | {p['help']} |" for name, p in read("parameters.json").items() if name != "strings"]
    return "\n".join(["| Parameter | Value | Meaning |", "|---|---:|---|", *lines])


def filled(text):
    parts = {"tables": tables(), "unverified": unverified(), "parameters": parameters()}
    return re.sub(r"(<!-- computed: (\w+) -->\n).*?(<!-- /computed -->)", lambda m: f"{m[1]}\n{parts[m[2]]}\n\n{m[3]}", text, flags=re.S)


def main():
    text = PAGE.read_text(encoding="utf-8")
    new = filled(text)
    if sys.argv[1:] == ["--check"]:
        if new != text:
            sys.exit("docs/costs.md is out of date: run Tests/Costs/pages.py with the project's Python")
    elif sys.argv[1:]:
        sys.exit(__doc__)
    else:
        PAGE.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
