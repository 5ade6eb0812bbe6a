"""Cloud Monitoring v3: alerting policies and notification channels, with the checks that the service makes and gcloud does not."""
import copy
import json
import re

from core import S, Err, crud, now, number, page, rand, route, set_mask

from .logs import log_filter

CHANNEL, POLICY = "projects/{p}/notificationChannels/{c}", "projects/{p}/alertPolicies/{a}"
LABELS = {"email": ["email_address"], "sms": ["number"], "slack": ["channel_name"], "pagerduty": ["service_key"], "pubsub": ["topic"], "google_chat": ["space"],
          "webhook_tokenauth": ["url"], "webhook_basicauth": ["url", "username"], "campfire": ["room", "subdomain"], "hipchat": ["room"]}
MINUTE, HOUR = 60, 3600


def snake(name):
    return re.sub("[A-Z]", lambda m: "_" + m[0].lower(), name)


def known(where, o, names):
    for k in o:
        if k not in names.split():
            raise Err(400, f'Invalid JSON payload received. Unknown name "{k}" at \'{where}\': Cannot find field.')


def bad(field, value, why):
    raise Err(400, f'Field {field} had an invalid value of "{value}": {why}')


def seconds(field, text):
    m = re.match(r"(\d+)(?:\.\d+)?s$", text)
    if not m:
        raise Err(400, f"Invalid value at '{field}' (type.googleapis.com/google.protobuf.Duration), \"{text}\"")
    return int(m[1])


def check_labels(field, labels):
    for k, v in labels.items():
        if not re.match(r"[a-z][a-z0-9_-]{0,62}$", k) or not re.match(r"[a-z0-9_-]{0,63}$", v) or len(labels) > 64:
            bad(field, f"{k}: {v}", "at most 64 labels; keys and values have at most 63 of [a-z0-9_-], and a key begins with a letter")


# ------------------------------------------------------------------ listing: the service's own filter and order
def named(o):
    """The object with its fields also under their snake_case names."""
    return {x: v for k, v in o.items() for x in (k, snake(k))}


def listing(table, field):
    @route("monitoring", "GET", f"v3/projects/{{p}}/{field}")
    def get(rq, p):
        text = re.sub(r"'([^'\"]*)'", r'"\1"', rq.query.get("filter", ""))
        keep, hits = log_filter(text), [o for k, o in S[table].items() if k.startswith(f"projects/{p}/")]
        hits = [o for o in hits if keep(named(o))]
        for by in reversed([x for x in rq.query.get("orderBy", "").split(",") if x]):
            hits.sort(key=lambda o: str(named(o).get(by.lstrip("-"), "")), reverse=by.startswith("-"))
        return page(hits, rq, field) | {"totalSize": len(hits)}


listing("alert_policies", "alertPolicies")
listing("notification_channels", "notificationChannels")


# ------------------------------------------------------------------ notification channels
def check_channel(ch):
    known("notification_channel", ch, "name type displayName description labels userLabels verificationStatus enabled creationRecord mutationRecords")
    if ch.get("type") not in LABELS:
        bad("notification_channel.type", ch.get("type", ""), "Unrecognized channel type; the channel descriptors list the supported ones.")
    for label in LABELS[ch["type"]]:
        if not ch.get("labels", {}).get(label):
            bad(f'notification_channel.labels["{label}"]', "", f'The label is required for a channel of type "{ch["type"]}".')
    if ch["type"] == "email" and not re.match(r"[^@\s]+@[^@\s]+\.[^@\s]+$", ch["labels"]["email_address"]):
        bad('notification_channel.labels["email_address"]', ch["labels"]["email_address"], "Not an email address.")
    check_labels("notification_channel.user_labels", ch.get("userLabels", {}))
    return ch


@route("monitoring", "POST", "v3/projects/{p}/notificationChannels")
def channel_create(rq, p):
    if rq.body.get("name"):
        bad("notification_channel.name.channel_id_part", rq.body["name"].split("/")[-1], "Field must be empty.")
    name, record = f"projects/{p}/notificationChannels/{rand(19, '123456789')}", {"mutateTime": now()}
    S["notification_channels"][name] = {"enabled": True, **check_channel(rq.body), "name": name, "creationRecord": record, "mutationRecords": [record]}
    return S["notification_channels"][name]


@route("monitoring", "PATCH", "v3/" + CHANNEL)
def channel_patch(rq, **kw):
    old, mask = channel(**kw), rq.query.get("updateMask")
    new = set_mask(copy.deepcopy(old), rq.body, mask) if mask else {"enabled": True, **rq.body}
    S["notification_channels"][old["name"]] = check_channel(new | {"name": old["name"], "creationRecord": old["creationRecord"], "mutationRecords": [
        {"mutateTime": now()}, *old["mutationRecords"]]})
    return S["notification_channels"][old["name"]]


@route("monitoring", "DELETE", "v3/" + CHANNEL)
def channel_delete(rq, **kw):
    """A channel that a policy names goes only with force, and then leaves the policies too."""
    name = channel(**kw)["name"]
    users = [a for a in S["alert_policies"].values() if name in a.get("notificationChannels", [])]
    if users and rq.query.get("force", "").lower() != "true":
        raise Err(400, f'Could not delete "{name}" because it is still being referenced by: ' + ", ".join(f'"{a["name"]}"' for a in users), "FAILED_PRECONDITION")
    for a in users:
        a["notificationChannels"].remove(name)
    del S["notification_channels"][name]
    return {}


channel = crud("monitoring", "v3/", CHANNEL, "notification_channels", "notificationChannels", "Notification channel not found: 'projects/{p}/notificationChannels/{c}'.")


# ------------------------------------------------------------------ alerting policies
METRIC = "filter aggregations duration trigger "
KINDS = {"conditionThreshold": METRIC + "denominatorFilter denominatorAggregations forecastOptions comparison thresholdValue evaluationMissingData",
         "conditionAbsent": METRIC, "conditionMatchedLog": "filter labelExtractors", "conditionSql": "query minutes hourly daily rowCountTest booleanTest",
         "conditionMonitoringQueryLanguage": "query duration trigger evaluationMissingData",
         "conditionPrometheusQueryLanguage": "query duration evaluationInterval labels ruleGroup alertRule disableMetricValidation"}


FIELDS = "name displayName documentation userLabels conditions combiner enabled validity notificationChannels creationRecord mutationRecord alertStrategy severity"


def check_policy(p, pol):
    known("alert_policy", pol, FIELDS)
    if not 1 <= len(pol.get("displayName", "")) <= 512:
        bad("alert_policy.display_name", pol.get("displayName", ""), "A policy must have a display name of at most 512 characters.")
    if pol.get("combiner") not in ("AND", "OR", "AND_WITH_MATCHING_RESOURCE"):
        bad("alert_policy.combiner", pol.get("combiner", "COMBINE_UNSPECIFIED"), "A policy must have a combiner: AND, OR or AND_WITH_MATCHING_RESOURCE.")
    if not 1 <= len(pol.get("conditions", [])) <= 6:
        bad("alert_policy.conditions", len(pol.get("conditions", [])), "A policy must have from one to six conditions.")
    kinds = [check_condition(p, f"alert_policy.conditions[{i}]", c) for i, c in enumerate(pol["conditions"])]
    for only, what in (("conditionMatchedLog", "a log matching"), ("conditionMonitoringQueryLanguage", "a monitoring query language")):
        if only in kinds and len(kinds) > 1:
            raise Err(400, f"Alert policies with {what} condition can only have a single condition.")
    check_strategy(pol.get("alertStrategy", {}), "conditionMatchedLog" in kinds)
    doc = pol.get("documentation", {})
    known("alert_policy.documentation", doc, "content mimeType subject links")
    if doc.setdefault("mimeType", "text/markdown") != "text/markdown":
        bad("alert_policy.documentation.mime_type", doc["mimeType"], 'Only "text/markdown" is supported.')
    if len(doc.get("content", "")) > 8192 or len(doc.get("content", "").encode()) > 10240:
        bad("alert_policy.documentation.content", "...", "The content may not exceed 8192 characters or 10240 bytes.")
    check_labels("alert_policy.user_labels", pol.get("userLabels", {}))
    pol["notificationChannels"] = [channel_name(p, n) for n in pol.get("notificationChannels", [])]
    if len(pol["notificationChannels"]) > 16:
        bad("alert_policy.notification_channels", len(pol["notificationChannels"]), "A policy can have at most 16 notification channels.")
    return {k: v for k, v in pol.items() if v not in ([], {"mimeType": "text/markdown"})}


def channel_name(p, name):
    m = re.match(r"projects/([^/]+)/notificationChannels/([^/]+)$", name)
    if not m:
        raise Err(400, f"Name must begin with 'projects/{{project_id}}/notificationChannels/{{channel_id}}', got: {name}")
    return channel(p=p if m[1] == number(p) else m[1], c=m[2])["name"]


def check_strategy(strategy, log_based):
    known("alert_policy.alert_strategy", strategy, "notificationRateLimit notificationPrompts autoClose notificationChannelStrategy")
    limit, close = strategy.get("notificationRateLimit"), strategy.get("autoClose")
    prompts = strategy.get("notificationPrompts")
    if prompts is not None and prompts not in (["OPENED"], ["OPENED", "CLOSED"]) or log_based and prompts == ["OPENED", "CLOSED"]:
        bad("alert_policy.alert_strategy.notification_prompts", ", ".join(prompts), "OPENED, or OPENED and CLOSED; log-based alert policies take OPENED only")
    if limit and not log_based:
        bad("alertStrategy.notificationRateLimit", f"period {{ seconds: {limit.get('period', '').rstrip('s')} }}",
            "metric-based alert policies must not specify a notification rate limit")
    if log_based and not (limit or {}).get("period"):
        bad("alertStrategy.notificationRateLimit", "", "log-based alert policies must specify a notification rate limit")
    if close and not 1800 <= seconds("alert_policy.alert_strategy.auto_close", close) <= 7 * 24 * HOUR:
        bad("alert_policy.alert_strategy.auto_close", close, "must be between 30 minutes and 7 days")


def check_condition(p, where, c):
    """One condition; returns its kind."""
    known(where, c, "name displayName " + " ".join(KINDS))
    kind, *more = [k for k in KINDS if k in c] or [None]
    if not kind:
        bad(where + ".condition_case", 0, 'Condition subtype (e.g. "condition_absent","condition_threshold", etc.) is absent or unknown.')
    if more:
        raise Err(400, f"Invalid value at '{where}' (oneof), oneof field 'condition' is already set. Cannot set '{more[0]}'")
    where, body = f"{where}.{snake(kind)}", c[kind]
    known(where, body, KINDS[kind])
    wanted = "filter" if "filter" in KINDS[kind].split() else "query"
    if not body.get(wanted, "").strip():
        bad(f"{where}.{wanted}", "", f"a condition must have a {wanted}")
    if kind == "conditionMatchedLog" and not re.search(r"\w\(", body["filter"]):
        log_filter(body["filter"])
    if kind == "conditionPrometheusQueryLanguage" and (seconds(where, body.get("evaluationInterval", "30s")) or 1) % 30:
        bad(where + ".evaluation_interval", body["evaluationInterval"], "must be a positive multiple of 30 seconds")
    if kind in ("conditionThreshold", "conditionAbsent"):
        check_metric(where, kind, body)
    check_log_metrics(p, kind, body)
    return kind


def check_log_metrics(p, kind, body):
    """A log-based metric must exist, unless PromQL is not to look."""
    if body.get("disableMetricValidation"):
        return
    for name in re.findall(r"logging\.googleapis\.com/user/([\w-]+)|logging_googleapis_com:user_(\w+)", body.get("filter", "") + body.get("query", "")):
        name = name[0] or re.sub(r"_(sum|count|bucket)$", "", name[1])
        if f"projects/{p}/metrics/{name}" not in S["log_metrics"]:
            raise Err(404, f'Cannot find metric that matches type = "logging.googleapis.com/user/{name}". If a metric was created recently, it could take '
                           "up to 10 minutes to become available. Please try again soon.")


def check_metric(where, kind, body):
    for need in ("metric.type", "resource.type"):
        if not re.search(need.replace(".", r"\.") + r"\s*=", body["filter"]):
            bad(where + ".filter", body["filter"], f'must specify a restriction on "{need}" in the filter; see "https://cloud.google.com/monitoring/api/resources" '
                                                   "for a list of available resource types.")
    if len(body["filter"]) > 2048:
        bad(where + ".filter", "...", "must not exceed 2048 characters")
    text = body.setdefault("duration", "0s")
    d = seconds(where + ".duration", text)
    if d % MINUTE:
        bad(where + ".duration", text, "only multiples of 1 minute are supported")
    if kind == "conditionAbsent" and not 2 * MINUTE <= d <= 23.5 * HOUR:
        bad(where + ".duration", text, "the duration of an absence condition must be at least 2 minutes and at most 23 hours and 30 minutes")
    if kind == "conditionThreshold":
        if body.get("comparison") not in ("COMPARISON_GT", "COMPARISON_LT"):
            bad(where + ".comparison", body.get("comparison", "COMPARISON_UNSPECIFIED"), "only COMPARISON_LT and COMPARISON_GT are supported")
        if body.get("evaluationMissingData") and not d:
            bad(where + ".evaluation_missing_data", body["evaluationMissingData"], "Conditions setting evaluation_missing_data must have a non-zero duration.")
    longest = max([0] + [check_aggregation(f"{where}.{snake(k)}[{i}]", a) for k in ("aggregations", "denominatorAggregations") for i, a in enumerate(body.get(k, []))])
    if longest + d > 25 * HOUR:
        bad(where + ".duration", text, "the alignment period and the duration together must not exceed 25 hours")


def check_aggregation(where, a):
    """Returns the alignment period in seconds."""
    known(where, a, "alignmentPeriod perSeriesAligner crossSeriesReducer groupByFields")
    aligned, reduced = (a.get(k, none) != none for k, none in (("perSeriesAligner", "ALIGN_NONE"), ("crossSeriesReducer", "REDUCE_NONE")))
    period = seconds(where + ".alignment_period", a.get("alignmentPeriod", "0s"))
    if aligned and not MINUTE <= period <= 25 * HOUR:
        bad(where + ".alignment_period", json.dumps({"seconds": period}), "alignment period must be between 60 seconds and 25 hours")
    if period % MINUTE:
        bad(where + ".alignment_period", json.dumps({"seconds": period}), "alignment period must be in multiples of one minute")
    if reduced and not aligned:
        bad(where + ".cross_series_reducer", a["crossSeriesReducer"], "a reducer needs a per-series aligner other than ALIGN_NONE")
    if a.get("groupByFields") and not reduced:
        raise Err(400, "An aggregation cannot have group-by fields without a reducer.")
    return period


@route("monitoring", "POST", "v3/projects/{p}/alertPolicies")
def policy_create(rq, p):
    if rq.body.get("name"):
        raise Err(400, f"Cannot set 'name' when creating alert policy. Tried to set to '{rq.body['name']}'.")
    return policy_store(rq, p, f"projects/{p}/alertPolicies/{rand(19, '123456789')}", rq.body, {})


@route("monitoring", "PATCH", "v3/" + POLICY)
def policy_patch(rq, p, a):
    """Without a mask the policy is replaced; a condition that carries its name keeps it, the others are new."""
    old, mask = policy(p=p, a=a), rq.query.get("updateMask", "")
    known("update_mask", [re.sub(r"_(\w)", lambda m: m[1].upper(), x.split(".")[0]) for x in mask.split(",") if x], FIELDS)
    return policy_store(rq, p, old["name"], set_mask(copy.deepcopy(old), rq.body, mask) if mask else rq.body, old)


def policy_store(rq, p, name, body, old):
    pol, ids = check_policy(p, copy.deepcopy(body)), [c["name"] for c in old.get("conditions", [])]
    for c in pol["conditions"]:
        if old and c.get("name", ids[0]) not in ids:
            raise Err(404, f"Condition '{c['name']}' is not in the policy.")
        c["name"] = c["name"] if old and "name" in c else f"{name}/conditions/{rand(19, '123456789')}"
    record = {"mutateTime": now(), "mutatedBy": rq.who}
    S["alert_policies"][name] = {"enabled": True, **pol, "name": name, "creationRecord": old.get("creationRecord", record), "mutationRecord": record}
    return S["alert_policies"][name]


policy = crud("monitoring", "v3/", POLICY, "alert_policies", "alertPolicies", "Alert policy not found: 'projects/{p}/alertPolicies/{a}'.")
