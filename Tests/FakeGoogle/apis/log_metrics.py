"""Cloud Logging v2: log-based metrics, with the checks that the service makes. No points are counted."""
import re

from core import S, Err, crud, now, route

from .logs import log_filter
from .monitoring import bad, known

METRIC = "projects/{p}/metrics/{m}"
FIELDS = "name description filter disabled bucketName metricDescriptor valueExtractor labelExtractors bucketOptions createTime updateTime version resourceName"
DESCRIPTOR = "name type labels metricKind valueType unit description displayName metadata launchStage monitoredResourceTypes"
BUCKETS = {"linearBuckets": "numFiniteBuckets width offset", "exponentialBuckets": "numFiniteBuckets growthFactor scale", "explicitBuckets": "bounds"}
EXTRACTOR = re.compile(r"(EXTRACT\([\w.\"]+\)|REGEXP_EXTRACT\([\w.\"]+,\s*\".+\"\))$")


def check(p, m):
    known("metric", m, FIELDS)
    if not re.match(r"[A-Za-z0-9_\-.,+!*',()%][A-Za-z0-9_\-.,+!*',()%/]{0,99}$", m.get("name", "")):
        raise Err(400, f"Invalid metric name: {m.get('name', '')}")
    if not m.get("filter", "").strip() or len(m["filter"]) > 20000:
        raise Err(400, "A metric must have a filter of at most 20000 characters.")
    log_filter(m["filter"])
    if len(m.get("description", "")) > 8000:
        raise Err(400, "The description of a metric has at most 8000 characters.")
    d = m.get("metricDescriptor", {"metricKind": "DELTA", "valueType": "INT64", "unit": "1"})
    known("metric.metric_descriptor", d, DESCRIPTOR)
    if d.get("metricKind") != "DELTA" or d.get("valueType") not in ("INT64", "DISTRIBUTION"):
        raise Err(400, "A logs-based metric is DELTA, and INT64 or DISTRIBUTION.")
    if (d["valueType"] == "DISTRIBUTION") != bool(m.get("valueExtractor")):
        raise Err(400, "A DISTRIBUTION metric needs a value extractor, and no other metric may have one.")
    for label in d.get("labels", []):
        known("metric.metric_descriptor.labels", label, "key valueType description")
    if {x["key"] for x in d.get("labels", [])} != m.get("labelExtractors", {}).keys():
        raise Err(400, "Each label of the metric descriptor needs an extractor, and each extractor a label.")
    for text in [*m.get("labelExtractors", {}).values(), *filter(None, [m.get("valueExtractor")])]:
        if not EXTRACTOR.match(text):
            raise Err(400, f"Invalid extractor expression: {text}")
    if m.get("bucketOptions") and d["valueType"] != "DISTRIBUTION":
        raise Err(400, "Bucket options are for DISTRIBUTION metrics only.")
    check_buckets(m.get("bucketOptions", {}))
    return {**{k: v for k, v in m.items() if v not in ("", {}, False)}, "metricDescriptor": {
        **d, "name": f"projects/{p}/metricDescriptors/logging.googleapis.com/user/{m['name']}", "type": "logging.googleapis.com/user/" + m["name"],
        "description": m.get("description", "")}}


def check_buckets(options):
    known("metric.bucket_options", options, " ".join(BUCKETS))
    for kind, body in options.items():
        known("metric.bucket_options." + kind, body, BUCKETS[kind])
        if kind == "exponentialBuckets" and not (0 < body.get("numFiniteBuckets", 0) <= 200 and body.get("growthFactor", 0) > 1 and body.get("scale", 0) > 0):
            bad("metric.bucket_options.exponential_buckets", body, "needs 1 to 200 finite buckets, a growth factor above 1 and a scale above 0")


def store(p, body, old=None):
    new, t = check(p, body), now()
    if old and any(old["metricDescriptor"].get(k) != new["metricDescriptor"].get(k) for k in ("metricKind", "valueType")):
        raise Err(400, "The kind and the value type of a metric cannot be changed.")
    S["log_metrics"][f"projects/{p}/metrics/{body['name']}"] = {**new, "createTime": (old or {}).get("createTime", t), "updateTime": t}
    return S["log_metrics"][f"projects/{p}/metrics/{body['name']}"]


@route("logging", "POST", "v2/projects/{p}/metrics")
def create(rq, p):
    if f"projects/{p}/metrics/{rq.body.get('name')}" in S["log_metrics"]:
        raise Err(409, f"Metric {rq.body['name']} already exists")
    return store(p, rq.body)


@route("logging", "PUT", "v2/" + METRIC)
def update(rq, p, m):
    """Creates the metric if there is none."""
    if rq.body.get("name") not in (None, m):
        raise Err(400, "The name of a metric cannot be changed.")
    return store(p, {**rq.body, "name": m}, S["log_metrics"].get(METRIC.format(p=p, m=m)))


crud("logging", "v2/", METRIC, "log_metrics", "metrics", "Metric {m} does not exist.")
