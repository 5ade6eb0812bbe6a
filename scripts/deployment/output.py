"""Text for people."""
import os
import sys


def coloured():
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def colour(text, code):
    return f"\033[{code}m{text}\033[0m" if coloured() else text


def answer(question):
    """What somebody types; nothing when they close the input."""
    try:
        return input(question).strip()
    except EOFError:
        print()
        return ""


SIGNS = {"create": ("+", "32"), "update": ("~", "33"), "delete": ("-", "31")}


def show_change(change, indent="  "):
    sign, code = SIGNS[change.action]
    print(indent + colour(f"{sign} {change.action} {change.title}", code))
    for detail in change.details:
        print(f"{indent}    {detail}")


def table(head, rows):
    """Columns as wide as their widest cell."""
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    for index, row in enumerate([head, *rows]):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
        print(colour(line, "1") if index == 0 else line)


def spoken(seconds):
    """`45 s`, `3 min`, `5 h`, `12 days`."""
    seconds = max(0, round(seconds))
    for unit, name in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit or (seconds >= unit and name != "days"):
            return f"{seconds // unit} {name}"
    return f"{seconds} s"


def number(count, noun):
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
