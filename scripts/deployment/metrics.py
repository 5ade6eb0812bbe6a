"""Log-based metrics, and the dashboard that charts them."""
from . import change as phases
from . import ownership
from .alerts import brief, only_one
from .change import Change
from .comparison import changes, extras
from .effects import once, verified

# The parts of a metric that people choose and that an update clears. The service adds others by itself.
CHOSEN = ("labelExtractors", "valueExtractor", "bucketOptions", "disabled", "bucketName")
WORDS = {"metricDescriptor": "descriptor", "labelExtractors": "label", "valueExtractor": "value", "bucketOptions": "buckets",
         "displayName": "title", "labels": "label", "gridLayout": "layout"}


def metrics(google, desired, live):
    parent = f"v2/projects/{desired.project}/metrics"
    for name, wanted in desired.metrics.items():
        there = live.metrics.get(name)
        path = f"{parent}/{name}"
        if not there:
            yield Change(phases.METRICS, "create", "log-based metric", name, apply=lambda w=wanted, path=path: verified(
                google, lambda: once(google, lambda: google.request("POST", "logging", parent, body=w), lambda: google.get("logging", path)),
                lambda: metric_differences(w, google.get("logging", path))))
            continue
        details = metric_differences(wanted, there)
        if details:
            yield Change(phases.METRICS, "update" if ownership.of_metric(desired, there) else "take over", "log-based metric", name,
                         details=details, apply=lambda w=wanted, path=path: verified(
                             google, lambda: google.request("PUT", "logging", path, body=w),
                             lambda: metric_differences(w, google.get("logging", path))))


def metric_differences(wanted, there):
    found = list(changes(wanted, there))
    for part in CHOSEN:
        found += extras(wanted.get(part), there.get(part), (part,))
    return [f"{spoken(path)}: {brief(have)} -> {brief(want)}" for path, want, have in found]


def dashboards(google, desired, live):
    wanted, parent = desired.dashboard, f"v1/projects/{desired.project}/dashboards"
    if not wanted:
        return
    there = next(iter(live.dashboards), None)
    title = wanted["displayName"]
    if not there:
        yield Change(phases.DASHBOARDS, "create", "dashboard", title, apply=lambda: only_one(
            google, parent, "dashboards", wanted, lambda d: ownership.of_dashboard(desired, d)))
        return
    details = dashboard_differences(wanted, there)
    if details:
        # The service replaces the whole dashboard, unless somebody changed it meanwhile.
        yield Change(phases.DASHBOARDS, "update", "dashboard", title, details=details, apply=lambda: verified(
            google, lambda: google.request("PATCH", "monitoring", f"v1/{there['name']}", body={
                **wanted, "name": there["name"], "etag": there.get("etag", "")}),
            lambda: dashboard_differences(wanted, google.get("monitoring", f"v1/{there['name']}"))))


def dashboard_differences(wanted, there):
    """The service fills in what a chart leaves open. What somebody added around the charts is lost in an update."""
    found = list(changes(wanted, there))
    for part in ("labels", "dashboardFilters", "annotations", "mosaicLayout", "rowLayout", "columnLayout"):
        found += extras(wanted.get(part), there.get(part), (part,))
    widgets = wanted["gridLayout"]["widgets"]
    lines = []
    for path, want, have in found:
        if path[:2] == ("gridLayout", "widgets") and len(path) > 2:
            lines.append(f"chart {widgets[int(path[2])]['title']}, {path[-1]}: {brief(have)} -> {brief(want)}")
        else:
            lines.append(f"{'charts' if path == ('gridLayout', 'widgets') else spoken(path)}: {brief(have)} -> {brief(want)}")
    return lines


def spoken(path):
    return " ".join([WORDS.get(path[0], path[0]), *path[1:]])


def orphans(google, desired, live):
    """Metrics and dashboards of ours that jobs.yaml does not have, and second dashboards."""
    found = [Change(phases.REMOVAL, "delete", "log-based metric", name, lambda name=name: google.request(
        "DELETE", "logging", f"v2/projects/{desired.project}/metrics/{name}"))
        for name, metric in live.metrics.items() if name not in desired.metrics and ownership.of_metric(desired, metric)]
    return found + [Change(phases.REMOVAL, "delete", "dashboard", board.get("displayName", ""), lambda board=board: google.request(
        "DELETE", "monitoring", f"v1/{board['name']}")) for board in live.dashboards[1 if desired.dashboard else 0:]]
