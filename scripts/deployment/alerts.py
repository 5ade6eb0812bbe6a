"""Alert policies and the channels that they notify."""
import difflib

from . import change as phases
from . import ownership
from .change import Change
from .comparison import changes, extras
from .effects import once, verified
from .google import GoogleError

# The names of an alert's parts in a plan.
WORDS = {"displayName": "title", "enabled": "enabled", "severity": "severity", "documentation.content": "text",
         "alertStrategy.autoClose": "closes after", "alertStrategy.notificationPrompts": "notifies when", "conditions": "conditions",
         "userLabels": "label", "alertStrategy.notificationRateLimit.period": "notifies once in"}


class UnknownChannel(GoogleError):
    """jobs.yaml names a channel that the project does not have."""


def channels(google, desired, live):
    for channel in desired.channels:
        if channel_of(channel, live.channels):
            continue
        yield Change(phases.CHANNELS, "create", "notification channel", channel["labels"]["email_address"],
                     lambda channel=channel: create_channel(google, desired, live, channel))


def create_channel(google, desired, live, channel):
    path, field = f"v3/projects/{desired.project}/notificationChannels", "notificationChannels"
    live.channels.append(only_one(google, path, field, channel, lambda c: ownership.of_alert(desired, c) and channel_of(channel, [c])))


def only_one(google, path, field, body, is_it):
    """Creates an alert, a channel or a dashboard, which have no names of ours. Two deployments at the same time both create one; both
    then keep the older one."""
    version = path.partition("/")[0]

    def found():
        return sorted((c for c in google.pages("monitoring", path, field) if is_it(c)),
                      key=lambda c: (c.get("creationRecord", {}).get("mutateTime", ""), c["name"]))

    once(google, lambda: google.request("POST", "monitoring", path, body=body), lambda: next(iter(found()), None))
    kept, *others = found() or [None]
    if not kept:
        raise GoogleError("the service accepted the creation, and does not list the result")
    for other in others:
        try:
            google.request("DELETE", "monitoring", f"{version}/{other['name']}", query={"force": "true"} if field == "notificationChannels" else {})
        except GoogleError as error:
            if error.status != 404:
                raise
    return kept


def channel_of(wanted, channels):
    return next((c["name"] for c in channels if wanted["labels"].items() <= c.get("labels", {}).items()), None)


def named_channels(desired, found):
    """The resource names of the channels that jobs.yaml names, of all channels of the project."""
    return [named_channel(desired, name, found) for name in desired.alert_channels]


def named_channel(desired, name, found):
    if name.startswith("projects/"):
        # The project may be its number, which no listing has.
        hits = [c["name"] for c in found if c["name"].rpartition("/")[2] == name.rpartition("/")[2]]
    else:
        hits = [c["name"] for c in found if c.get("displayName") == name]
    if len(hits) == 1:
        return hits[0]
    if hits:
        raise UnknownChannel(f"alert_channels of {desired.environment}: {len(hits)} notification channels of {desired.project} have the name "
                             f"\"{name}\"; name one by its resource: {', '.join(sorted(hits))}")
    known = sorted(f"\"{c['displayName']}\" ({c.get('type', '')})" for c in found if c.get("displayName") and not ownership.of_alert(desired, c))
    near = difflib.get_close_matches(name, [c.get("displayName", "") for c in found], n=1, cutoff=0.7)
    raise UnknownChannel(f"alert_channels of {desired.environment}: {desired.project} has no notification channel \"{name}\"; "
                         + (f"did you mean \"{near[0]}\"? " if near else "") + f"It has: {', '.join(known) or 'none'}")


def alerts(google, desired, live):
    parent = f"v3/projects/{desired.project}/alertPolicies"
    for name, document in desired.alerts.items():
        there = next((a for a in live.alerts if a["userLabels"].get("alert") == name), None)
        jobs_named = frozenset(j["name"] for j in desired.jobs if name == f"no-success-{j['job']}")
        if not there:
            yield Change(phases.ALERTS, "create", "alert", name, jobs=jobs_named, apply=lambda d=document, name=name: only_one(
                google, parent, "alertPolicies", with_channels(d, desired, live),
                lambda a, name=name: ownership.of_alert(desired, a) and a["userLabels"].get("alert") == name))
            continue
        details = alert_differences(document, there)
        if recipients(desired, live) and set(there.get("notificationChannels", [])) != set(recipients(desired, live)):
            details.append("notification channels")
        if details:
            yield Change(phases.ALERTS, "update", "alert", name, details=details, jobs=jobs_named,
                         apply=lambda d=document, t=there: verified(
                             google, lambda: patch_alert(google, with_channels(d, desired, live), t),
                             lambda: alert_differences(d, google.get("monitoring", f"v3/{t['name']}"))))


def alert_differences(document, there):
    """The parts that an update would change. The service adds to conditions, and to nothing else that is compared."""
    found = list(changes(document, there))
    for part in ("userLabels", "documentation", "alertStrategy"):
        found += [(path, want, have) for path, want, have in extras(document.get(part), there.get(part), (part,))]
    # An alert on log entries always notifies of openings, whether it says so or not.
    implied = (("alertStrategy", "notificationPrompts"), None, ["OPENED"])
    return [f"{part_of(path)}: {brief(have)} -> {brief(want)}" for path, want, have in found if (path, want, have) != implied]


def part_of(path):
    """`closes after`, or `condition 2, query` for a part that has no word."""
    text = ".".join(path)
    if path[0] == "conditions" and len(path) > 1:
        return f"condition {int(path[1]) + 1}, {path[-1]}"
    word = next((WORDS[known] for known in sorted(WORDS, key=len, reverse=True) if text == known or text.startswith(known + ".")), None)
    return f"{word} {path[-1]}" if word == "label" else word or text


def brief(value):
    text = "none" if value in (None, "", [], {}) else "yes" if value is True else "no" if value is False else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def recipients(desired, live):
    """The channels of the alerts; `None` for one that has yet to be created."""
    return [channel_of(c, live.channels) for c in desired.channels] + live.named_channels


def with_channels(document, desired, live):
    """Without alert_emails and alert_channels the policy's channels are left to whoever set them."""
    channels_of_all = recipients(desired, live)
    return document | ({"notificationChannels": channels_of_all} if channels_of_all else {})


def patch_alert(google, document, there):
    # A condition that keeps its name keeps its open incidents.
    names = [{"name": old["name"]} for old in there["conditions"]]
    conditions = [c | (names[i] if i < len(names) else {}) for i, c in enumerate(document["conditions"])]
    google.request("PATCH", "monitoring", f"v3/{there['name']}", body=document | {"conditions": conditions},
                   query={"updateMask": ",".join(sorted(document))})


def orphans(google, desired, live):
    """Alerts of ours that jobs.yaml does not have, and second ones of the same name."""
    found, seen = [], set()
    for policy in live.alerts:
        name = policy["userLabels"].get("alert", "")
        if name not in desired.alerts or name in seen:
            found.append(Change(phases.REMOVAL, "delete", "alert", name or policy["displayName"],
                                lambda p=policy: google.request("DELETE", "monitoring", f"v3/{p['name']}")))
        seen.add(name)
    return found
