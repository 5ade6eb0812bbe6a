"""scripts/update-pins.sh: base images, actions and Python packages."""
import datetime
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

KINDS = ("images", "actions", "packages")
RECORD = pathlib.Path("deploy/pins.txt")
HEAD = """# The pins that were looked up, by scripts/update-pins.sh: kind, name, pin and day. `scripts/update-pins.sh --check` compares the
# files with this one.
"""
REQUIREMENTS = pathlib.Path("Tests/requirements.txt")
# Everything after this line is written by the script.
NEEDED = "# What those need, pinned so that every run has the same\n"
IMAGE = r"(?P<name>[^\s@]+)(?:@(?P<pin>sha256:[0-9a-f]{64}))?"
ACTION = r"uses: (?P<action>[\w.-]+/[\w.-]+)(?P<path>[\w./-]*)@(?P<pin>\S+) # (?P<version>v[\w.-]+)$"


class LookUpError(Exception):
    pass


def run(*command):
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=600, stdin=subprocess.DEVNULL,
                              env={**os.environ, "GIT_TERMINAL_PROMPT": "0"})
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LookUpError(str(error)) from None
    if done.returncode:
        lines = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
        raise LookUpError(f"{command[0]} failed: {lines[-1] if lines else f'exit code {done.returncode}'}")
    return done.stdout


class Image:
    """A base image by name and tag. Without a tag it is the registry's latest."""
    kind = "images"

    def __init__(self, found):
        self.name, self.pin = found["name"], found["pin"] or ""

    def look_up(self):
        # A manifest's digest is its hash. Of an image for several processors this is the digest of the list.
        return "sha256:" + hashlib.sha256(run("skopeo", "inspect", "--raw", f"docker://{self.name}")).hexdigest()

    def written(self, text, pin):
        return re.sub(rf"(?<=[\s=]){re.escape(self.name)}(@sha256:[0-9a-f]{{64}})?(?=\s|$)", f"{self.name}@{pin}", text)


class Action:
    """An action of a workflow by repository and version."""
    kind = "actions"

    def __init__(self, found):
        self.repository, self.version, self.pin = found["action"], found["version"], found["pin"]
        self.name = f"{self.repository}@{self.version}"

    def look_up(self):
        tag = f"refs/tags/{self.version}"
        lines = run("git", "ls-remote", f"https://github.com/{self.repository}", tag, f"{tag}^{{}}").decode().split("\n")
        commits = dict(reversed(line.split("\t")) for line in lines if "\t" in line)
        # Of an annotated tag the commit is behind ^{}.
        commit = commits.get(f"{tag}^{{}}") or commits.get(tag)
        if not commit:
            raise LookUpError(f"{self.repository} has no tag {self.version}")
        return commit

    def written(self, text, pin):
        action, version = re.escape(self.repository), re.escape(self.version)
        return re.sub(rf"(uses: {action}[\w./-]*)@\S+ # {version}$", rf"\1@{pin} # {self.version}", text, flags=re.MULTILINE)


class Packages:
    """All Python packages of the tests. Their pin is the hash of their names and versions."""
    kind, name = "packages", str(REQUIREMENTS)

    def __init__(self, text):
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        loose = [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.!+]+", line)]
        self.pin = "" if loose else "sha256:" + hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()

    def look_up(self):
        text = REQUIREMENTS.read_text(encoding="utf-8")
        named = text.partition(NEEDED)[0]
        chosen = [line for line in named.splitlines() if line and not line.startswith("#")]
        python = ".venv/bin/python" if pathlib.Path(".venv/bin/python").exists() else sys.executable
        report = json.loads(run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--dry-run", "--ignore-installed",
                                "--report", "-", *chosen))
        known = {normal(line.partition("==")[0]) for line in chosen}
        needed = {item["metadata"]["name"]: item["metadata"]["version"] for item in report["install"]}
        self.text = named + NEEDED + "".join(
            f"{name}=={version}\n" for name, version in sorted(needed.items(), key=lambda p: p[0].lower()) if normal(name) not in known)
        return Packages(self.text).pin

    def written(self, _, __):
        return self.text


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def files():
    """The files with pins, and the pins of each."""
    workflows = sorted(pathlib.Path(".github/workflows").glob("*.yml"))
    places = [(pathlib.Path("Dockerfile"), rf"^ARG \w+_IMAGE={IMAGE}$", Image), (pathlib.Path("cloudbuild.yaml"), rf"^ +name: {IMAGE}$", Image)]
    places += [(path, rf"^ +container: {IMAGE}$", Image) for path in workflows] + [(path, ACTION, Action) for path in workflows]
    for path, expression, kind in places:
        text = path.read_text(encoding="utf-8")
        for found in re.finditer(expression, text, re.MULTILINE):
            yield path, kind(found)
    yield REQUIREMENTS, Packages(REQUIREMENTS.read_text(encoding="utf-8"))


def recorded():
    """The day on which each pin was looked up."""
    lines = RECORD.read_text(encoding="utf-8").splitlines() if RECORD.exists() else []
    return {tuple(line.split()[:3]): line.split()[3] for line in lines if line and not line.startswith("#")}


def check(kinds):
    """Lists the pins. Whether all of them were looked up."""
    known, good, seen = recorded(), True, set()
    for _, pin in files():
        key = (pin.kind, pin.name, pin.pin)
        if pin.kind not in kinds or key in seen:
            continue
        seen.add(key)
        state = f"looked up on {known[key]}" if key in known else "UNVERIFIED" if pin.pin else "NOT PINNED"
        good = good and key in known
        print(f"{pin.kind:8}  {pin.name:60}  {pin.pin[:19] or '-':19}  {state}")
    if not good:
        print("scripts/update-pins.sh looks the pins up and writes them")
    return good


def update(kinds):
    """Looks up and writes the pins. Whether every look-up worked."""
    known, answers, failed = recorded(), {}, set()
    today = datetime.date.today().isoformat()
    for path, pin in list(files()):
        if pin.kind not in kinds or pin.name in failed:
            continue
        if pin.name not in answers:
            try:
                answers[pin.name] = pin.look_up()
            except (LookUpError, ValueError, KeyError) as error:
                failed.add(pin.name)
                print(f"{pin.kind}: {pin.name} could not be looked up and stays as it is: {error}", file=sys.stderr)
                continue
            print(f"{pin.kind}: {pin.name} {'is' if answers[pin.name] == pin.pin else 'is now'} {answers[pin.name]}", flush=True)
        answer = answers[pin.name]
        if answer != pin.pin:
            path.write_text(pin.written(path.read_text(encoding="utf-8"), answer), encoding="utf-8")
        known = {key: day for key, day in known.items() if key[:2] != (pin.kind, pin.name)} | {(pin.kind, pin.name, answer): today}
    used = {(pin.kind, pin.name, pin.pin) for _, pin in files()}
    lines = sorted(" ".join((*key, day)) for key, day in known.items() if key in used)
    RECORD.write_text(HEAD + "".join(f"{line}\n" for line in lines), encoding="utf-8")
    return not failed


def main():
    only_check = "--check" in sys.argv[1:]
    kinds = [word for word in sys.argv[1:] if word != "--check"]
    for word in kinds:
        if word not in KINDS:
            print(f"update-pins.sh: unknown argument {word}; see scripts/update-pins.sh --help", file=sys.stderr)
            return 64
    kinds = kinds or KINDS
    if only_check:
        return 0 if check(kinds) else 1
    if "images" in kinds and not shutil.which("skopeo"):
        subprocess.run(["bash", "-c", "source scripts/lib/setup.sh && need_packages skopeo"], check=False)
    return 0 if update(kinds) else 1


if __name__ == "__main__":
    sys.exit(main())
