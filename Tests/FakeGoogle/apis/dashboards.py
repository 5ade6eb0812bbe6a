"""Cloud Monitoring v1: dashboards. The members of a chart are checked; what it would show is not."""
import copy
import re

from core import S, Err, crud, number, rand, route

from .monitoring import bad, check_labels, known

BOARD = "projects/{p}/dashboards/{d}"
LAYOUTS = {"gridLayout": "columns widgets", "mosaicLayout": "columns tiles", "rowLayout": "rows", "columnLayout": "columns"}
CONTENTS = "xyChart text scorecard blank alertChart logsPanel incidentList timeSeriesTable collapsibleGroup sectionHeader singleViewGroup pieChart " \
           "errorReportingPanel filterControl treemap"


def check(board):
    known("dashboard", board, "name displayName etag labels dashboardFilters annotations " + " ".join(LAYOUTS))
    if not board.get("displayName"):
        bad("dashboard.display_name", "", "a dashboard must have a display name")
    layouts = [k for k in LAYOUTS if k in board]
    if len(layouts) > 1:
        raise Err(400, f"Invalid value at 'dashboard' (oneof), oneof field 'layout' is already set. Cannot set '{layouts[1]}'")
    check_labels("dashboard.labels", board.get("labels", {}))
    for kind in layouts:
        known(f"dashboard.{kind}", board[kind], LAYOUTS[kind])
    for i, widget in enumerate(board.get("gridLayout", {}).get("widgets", [])):
        check_widget(f"dashboard.grid_layout.widgets[{i}]", widget)
    return board


def check_widget(where, widget):
    known(where, widget, "title id timeRange visibilityCondition " + CONTENTS)
    contents = [k for k in CONTENTS.split() if k in widget]
    if len(contents) != 1:
        bad(where, ", ".join(contents), "a widget has exactly one content")
    if "text" in widget:
        known(where + ".text", widget["text"], "content format style")
    for i, data in enumerate(widget.get("xyChart", {}).get("dataSets", [])):
        place = f"{where}.xy_chart.data_sets[{i}]"
        known(place, data, "timeSeriesQuery plotType legendTemplate minAlignmentPeriod targetAxis breakdowns dimensions measures sort")
        query = data.get("timeSeriesQuery", {})
        known(place + ".time_series_query", query, "timeSeriesFilter timeSeriesFilterRatio timeSeriesQueryLanguage prometheusQuery unitOverride "
                                                   "outputFullDuration opsAnalyticsQuery traceQuery")
        text = query.get("prometheusQuery")
        if text is not None and (not text.strip() or text.count("(") != text.count(")") or text.count("[") != text.count("]")):
            bad(place + ".time_series_query.prometheus_query", text, "the query cannot be parsed")
    if "xyChart" in widget:
        known(where + ".xy_chart", widget["xyChart"], "dataSets timeshiftDuration thresholds xAxis yAxis y2Axis chartOptions")
        if not widget["xyChart"].get("dataSets"):
            bad(where + ".xy_chart.data_sets", "", "a chart must have data")


def normal(o):
    """As the service answers: empty and zero members are left out, and the names of axes are filled in."""
    if isinstance(o, dict):
        return {k: normal(v) for k, v in o.items() if v not in ("", 0, [], {}, None)}
    return [normal(x) for x in o] if isinstance(o, list) else o


def store(name, body):
    S["dashboards"][name] = normal(copy.deepcopy(check(body))) | {"name": re.sub("^projects/[^/]+", f"projects/{number(name.split('/')[1])}", name), "etag": rand(32)}
    return S["dashboards"][name]


@route("monitoring", "POST", "v1/projects/{p}/dashboards")
def create(rq, p):
    return store(BOARD.format(p=p, d=f"{rand(8)}-{rand(4)}-{rand(4)}-{rand(12)}"), rq.body)


@route("monitoring", "PATCH", "v1/" + BOARD)
def patch(rq, p, d):
    """Replaces the dashboard; there is no mask. Another etag than the present one is refused."""
    old = board(p=p, d=d)
    if rq.body.get("etag") and rq.body["etag"] != old["etag"]:
        raise Err(409, "The dashboard was changed by somebody else: the etag does not match.", "ABORTED")
    return store(BOARD.format(p=p, d=d), {k: v for k, v in rq.body.items() if k not in ("name", "etag")})


board = crud("monitoring", "v1/", BOARD, "dashboards", "dashboards", "Requested entity was not found.")
