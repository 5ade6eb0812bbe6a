"""Checks requests strictly against BigQuery's discovery document, which google-api-python-client ships.

    Discovery().problems(request)

A request has "method", "path" with the query, "headers" and "body". A problem is a text such as "unknown field: Table.colour".
"""
import base64
import importlib.util
import json
import re
import urllib.parse
from pathlib import Path

PLACE = "discovery_cache/documents/bigquery.v2.json"


class Discovery:
    def __init__(self):
        package = Path(importlib.util.find_spec("googleapiclient").origin).parent
        self.document = json.loads((package / PLACE).read_text())
        self.methods = [(method["httpMethod"], self.pattern(method["path"]), method) for method in self.all_methods(self.document)]

    def all_methods(self, node):
        for resource in node.get("resources", {}).values():
            yield from self.all_methods(resource)
        yield from node.get("methods", {}).values()

    @staticmethod
    def pattern(path):
        return re.compile("^" + re.sub(r"\{\+?(\w+)\}", r"(?P<\1>[^/]+)", path) + "$")

    def problems(self, request):
        path, _, query = request["path"].partition("?")
        base = "/" + self.document["servicePath"]
        if not path.startswith(base):
            return [f"path: {path} is not below {base}"]
        for verb, pattern, method in self.methods:
            found = pattern.match(path[len(base):])
            if verb == request["method"] and found:
                return list(self.problems_of(request, method, found.groupdict(), query))
        return [f"no such method: {request['method']} {path}"]

    def problems_of(self, request, method, places, query):
        for name, value in places.items():
            yield from text_value(urllib.parse.unquote(value), method["parameters"][name], f"{method['id']} {name}")
        sent = urllib.parse.parse_qsl(query, keep_blank_values=True)
        for name, value in sent:
            parameter = method.get("parameters", {}).get(name) or self.document["parameters"].get(name)
            if parameter:
                yield from text_value(value, parameter, f"{method['id']} ?{name}")
            else:
                yield f"unknown query parameter: {method['id']} {name}"
        for name, parameter in method.get("parameters", {}).items():
            if parameter.get("required") and parameter["location"] == "query" and name not in dict(sent):
                yield f"missing query parameter: {method['id']} {name}"
        if "request" not in method:
            if request["body"]:
                yield f"a body where the method takes none: {method['id']} {request['body'][:40]}"
            return
        if request["headers"].get("Content-Type", "").split(";")[0] != "application/json":
            yield f"content type: {method['id']}"
        try:
            body = json.loads(request["body"], object_pairs_hook=without_duplicates)
        except ValueError as problem:
            yield f"not JSON: {method['id']} {problem}"
            return
        name = method["request"]["$ref"]
        yield from self.object_value(body, self.document["schemas"][name], name, method["id"])
        if len(request["body"]) > 10_000_000:
            yield f"over 10 MB: {method['id']}"
        if method["id"] == "bigquery.jobs.query":
            yield from query_problems(body)

    def value(self, value, schema, where, method):
        if "$ref" in schema and self.document["schemas"][schema["$ref"]].get("type") == "any":
            return
        if "$ref" in schema:
            yield from self.object_value(value, self.document["schemas"][schema["$ref"]], schema["$ref"], method)
        elif schema.get("type") == "array":
            if not isinstance(value, list):
                yield f"type: {where} is no array"
                return
            for element in value:
                yield from self.value(element, schema["items"], where + "[]", method)
        elif schema.get("type") == "object":
            yield from self.object_value(value, schema, where, method)
        elif schema.get("type") != "any":
            yield from json_value(value, schema, where)

    def object_value(self, value, schema, where, method):
        if not isinstance(value, dict):
            yield f"type: {where} is no object"
            return
        properties = schema.get("properties", {})
        for name, member in value.items():
            if name in properties:
                known = properties[name]
                if known.get("readOnly"):
                    yield f"output-only field: {where}.{name}"
                if "deprecated" in known or "eprecated" in known.get("description", "")[:40]:
                    yield f"deprecated field: {where}.{name}"
                if member is None:
                    yield f"null: {where}.{name}"
                else:
                    yield from self.value(member, known, f"{where}.{name}", method)
            elif "additionalProperties" in schema:
                yield from self.value(member, schema["additionalProperties"], f"{where}.*", method)
            else:
                yield f"unknown field: {where}.{name}"
        for name, known in properties.items():
            required = method in known.get("annotations", {}).get("required", [])
            in_words = known.get("description", "").startswith("Required") and not method.endswith(".patch")
            if name not in value and (required or in_words):
                yield f"missing field: {where}.{name}"


def text_value(value, schema, where):
    """A value of a path or of a query, where everything is text."""
    if schema.get("type") == "integer":
        if not re.fullmatch(r"-?\d+", value):
            yield f"type: {where} is no integer: {value}"
            return
        yield from range_problems(int(value), schema, where)
    elif schema.get("type") == "boolean" and value not in ("true", "false"):
        yield f"type: {where} is no boolean: {value}"
    yield from constraint_problems(value, schema, where)


def json_value(value, schema, where):
    wanted, form = schema.get("type"), schema.get("format")
    types = {"string": str, "integer": int, "number": (int, float), "boolean": bool}
    if not isinstance(value, types[wanted]) or (isinstance(value, bool) and wanted != "boolean"):
        yield f"type: {where} is no {wanted} but {value!r}"
        return
    if form in ("int64", "uint64") and wanted == "string" and not re.fullmatch(r"-?\d+", value):
        yield f"type: {where} is no {form}: {value}"
    if form == "google-duration" and not re.fullmatch(r"\d+(\.\d+)?s", value):
        yield f"type: {where} is no duration: {value}"
    if form == "byte":
        try:
            base64.b64decode(value, validate=True)
        except ValueError:
            yield f"type: {where} is not base64"
    if wanted == "integer":
        yield from range_problems(value, schema, where)
    yield from constraint_problems(value, schema, where)


def range_problems(number, schema, where):
    low, high = {"int32": (-2**31, 2**31 - 1), "uint32": (0, 2**32 - 1)}.get(schema.get("format"), (-2**63, 2**64 - 1))
    low, high = max(low, int(schema.get("minimum", low))), min(high, int(schema.get("maximum", high)))
    if not low <= number <= high:
        yield f"range: {where} is {number}"


def constraint_problems(value, schema, where):
    if "enum" in schema and value not in schema["enum"]:
        yield f"enum: {where} is {value}"
    if "pattern" in schema and not re.search(schema["pattern"], str(value)):
        yield f"pattern: {where} is {value}"


def query_problems(body):
    """Rules of jobs.query that the document has in words only."""
    request_id = body.get("requestId", "")
    if not (0 < len(request_id) <= 36 and request_id.isascii()):
        yield f"requestId: {request_id}"
    if body.get("useLegacySql") is not False:
        yield "useLegacySql is not false"
    if "location" not in body:
        yield "no location"
    for key, value in body.get("labels", {}).items():
        if not re.fullmatch(r"[a-z][a-z0-9_-]{0,62}", key) or not re.fullmatch(r"[a-z0-9_-]{0,63}", value):
            yield f"label: {key}={value}"
    sql = body.get("query", "")
    names = {parameter["name"] for parameter in body.get("queryParameters", [])}
    used = set(re.findall(r"(?<!@)@([a-z_]\w*)", sql))
    if names != used:
        yield f"parameters: {sorted(names)} are sent, {sorted(used)} are used"
    if len(sql) > 1024 * 1000:
        yield "the query is too long"


def without_duplicates(pairs):
    keys = [key for key, _ in pairs]
    twice = {key for key in keys if keys.count(key) > 1} if len(set(keys)) < len(keys) else None
    if twice:
        raise ValueError(f"members are there twice: {sorted(twice)}")
    return dict(pairs)
