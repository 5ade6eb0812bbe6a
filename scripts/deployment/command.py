"""The command line: arguments, exit codes and text for people."""
import argparse
import os
import sys

from .google import GcloudMissing, GoogleError

DONE, FAILED, MISSING, UNCONFIRMED, USAGE, STOPPED, INTERRUPTED = 0, 1, 2, 3, 64, 75, 130


class UsageError(Exception):
    """Something on the command line that the project does not have."""


class Parser(argparse.ArgumentParser):
    """Arguments of a script. The script itself answers --help."""

    def __init__(self, script):
        super().__init__(prog=f"scripts/{script}", add_help=False, allow_abbrev=False)
        self.add_argument("environment")

    def error(self, message):
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\n")


class Output:
    """A standard stream whose reader may go away, as `head` does: the work goes on, and the rest of the text is lost."""

    def __init__(self, stream):
        self._stream = stream or open(os.devnull, "w", encoding="utf-8")

    def write(self, text):
        return self._try(lambda: self._stream.write(text))

    def flush(self):
        return self._try(lambda: self._stream.flush())

    def _try(self, action):
        try:
            return action()
        except BrokenPipeError:
            # Python writes what is left when it ends; by then the descriptor must accept it.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
            self._stream = open(os.devnull, "w", encoding="utf-8")
            return None

    def __getattr__(self, name):
        return getattr(self._stream, name)


def run(main, interrupted):
    """Ends the process with the exit code of `main`, or with the message and the exit code of what stopped it."""
    sys.stdout, sys.stderr = Output(sys.stdout), Output(sys.stderr)
    try:
        code = main()
        sys.stdout.flush()
        sys.exit(code)
    except UsageError as error:
        end(USAGE, error)
    except GcloudMissing as error:
        end(MISSING, f"error: {error}")
    except (GoogleError, OSError) as error:
        end(FAILED, f"error: {error}")
    except KeyboardInterrupt:
        end(INTERRUPTED, f"\n{interrupted}")


def end(code, message):
    print(message, file=sys.stderr)
    sys.exit(code)


def is_colored():
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def color(text, code):
    return f"\033[{code}m{text}\033[0m" if is_colored() else text


def answer(question):
    """The typed answer; empty at the end of the input."""
    try:
        return input(question).strip()
    except EOFError:
        print()
        return ""


SIGNS = {"create": ("+", "32"), "update": ("~", "33"), "delete": ("-", "31"), "take over": ("!", "33")}
PAST = {"create": "created", "update": "updated", "delete": "deleted", "take over": "taken over"}


def show_change(change, indent="  "):
    sign, code = SIGNS[change.action]
    print(indent + color(f"{sign} {change.action} {change.title}", code))
    for detail in change.details:
        print(f"{indent}    {detail}")


def table(head, rows):
    """Columns as wide as their widest cell."""
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    for index, row in enumerate([head, *rows]):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
        print(color(line, "1") if index == 0 else line)


def spoken(seconds):
    """`45 s`, `3 min`, `5 h`, `12 days`."""
    seconds = max(0, round(seconds))
    for unit, name in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit or (seconds >= unit and name != "days"):
            return f"{seconds // unit} {name}"
    return f"{seconds} s"


def number(count, noun):
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
