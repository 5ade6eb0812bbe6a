"""What becomes of a change: waiting for what Google does not know yet, work that was done before its reply was lost, and a look at the
result."""
from . import refusals
from .google import GoogleError

# The answers of a service that does not know a new account, or a role of it, everywhere. The same words can be a plain "no".
# gcloud shows the text of a refusal only, not its code.
NOT_KNOWN_YET = ("does not exist", "may not exist", "Permission denied on secret")
CHANGED_MEANWHILE = ("concurrent policy changes",)


def patiently(google, attempt):
    """Repeats after somebody else's change, and while Google does not know a new account everywhere. "No" ends at once where it can
    be told from "not yet"."""
    pause = 2
    while True:
        try:
            return attempt()
        except GoogleError as error:
            text = str(error)
            is_conflict = error.status == 412 or any(sign in text for sign in CHANGED_MEANWHILE)
            is_unknown = any(sign in text for sign in NOT_KNOWN_YET)
            if not (is_conflict or is_unknown):
                raise
            if is_unknown and "actas" in text.lower() and google.lacks_act_as(text):
                raise final(google, error) from None
            reason = "somebody else changed this at the same time" if is_conflict else "Google does not know a new account everywhere yet"
            if not google.patience.wait(pause, f"{reason} ({text.splitlines()[0]})"):
                raise final(google, error) from None
            pause = min(2 * pause, 16)


def final(google, error):
    """The refusal of gcloud with what is missing. Those of requests say it already."""
    text = str(error)
    is_refusal = any(word in text.lower() for word in ("denied", "does not have permission", "forbidden"))
    if not is_refusal or refusals.SAID in text:
        return error
    return GoogleError(f"{text} {refusals.missing(text, google.project, google.account, 'POST', 'run')}", error.status, error.reason)


def once(google, create, find):
    """Creates something of which there must be one. A creation whose reply was lost is looked for before it is repeated."""
    for attempt in range(5):
        try:
            return create()
        except GoogleError as error:
            is_there = error.status == 409 or "already exists" in str(error).lower()
            if not (is_there or error.is_passing) or attempt == 4:
                raise
            found = find()
            if found:
                return found
            google.sleep(0.5 * 2 ** attempt)


def already(create):
    """A creation whose answer was lost is repeated. The repetition then finds what the first one created."""
    def apply():
        try:
            create()
        except GoogleError as error:
            if error.status != 409 and "already exists" not in str(error).lower():
                raise
    return apply


def verified(google, change, differences):
    """Makes a change and reads the result: `differences` are those that are left. A service may take a moment to show it."""
    change()
    for pause in (0.3, 1, 3, None):
        left = differences()
        if not left:
            return
        if pause is None:
            raise GoogleError(f"the service accepted the change, and still differs: {'; '.join(left)}")
        google.sleep(pause)
