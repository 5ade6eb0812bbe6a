"""What assumptions.sh sends to BigQuery and Stripe exists: its requests against the discovery document, its parameters against the package
that Stripe publishes."""
import json
import pathlib
import re
import sys
import unittest.mock
import urllib.parse

import stripe
import stripe.params

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "Tests/BigQueryAnswers")]

from assumptions import bounds, exchange, services  # noqa: E402
from assumptions.stripe import TYPES  # noqa: E402
from discovery import Discovery  # noqa: E402

# A path of Stripe's API, with the parameters that the package "stripe" publishes for it.
PARAMETERS = {
    "GET subscriptions": "SubscriptionListParams", "GET subscriptions/": "SubscriptionRetrieveParams", "POST subscriptions": "SubscriptionCreateParams",
    "POST subscriptions/": "SubscriptionUpdateParams", "DELETE subscriptions/": "SubscriptionCancelParams",
    "GET subscription_items": "SubscriptionItemListParams", "GET events": "EventListParams", "GET customers": "CustomerListParams",
    "POST customers": "CustomerCreateParams", "DELETE customers/": "CustomerDeleteParams", "GET plans": "PlanListParams", "GET plans/": "PlanRetrieveParams",
    "POST plans": "PlanCreateParams", "DELETE plans/": "PlanDeleteParams", "GET products": "ProductListParams", "GET products/": "ProductRetrieveParams",
    "POST products": "ProductCreateParams", "DELETE products/": "ProductDeleteParams"}


class SentRequests:
    """What a whole run sends to BigQuery and Stripe. A class of tests brings the stand-ins as `field`, and records a run with `recorded`."""

    @classmethod
    def recorded(cls, run):
        """The result of `run`, whose requests are kept."""
        cls.sent, real = [], exchange.send

        def send(method, url, data=None, headers=None, loopback=False):
            cls.sent.append((method, urllib.parse.urlsplit(url), data, headers))
            return real(method, url, data, headers, loopback)

        with unittest.mock.patch.object(exchange, "send", send):
            return run()

    def of(self, service):
        port = urllib.parse.urlsplit(self.field.direct[service]).port
        return [item for item in self.sent if item[1].port == port and "_config" not in item[1].path]

    def test_every_request_to_bigquery_exists_in_the_discovery_document(self):
        document, queries = Discovery(), 0
        for method, url, data, headers in self.of("bigquery"):
            if headers.get("Content-Encoding") == "gzip":
                continue
            body = (data or b"").decode()
            with self.subTest(f"{method} {url.path} {body[:200]}"):
                request = {"method": method, "path": f"{url.path}?{url.query}", "headers": headers, "body": body}
                self.assertEqual(document.problems(request), [])
                if url.path.endswith("/queries") and method == "POST":
                    queries += 1
                    self.assertIn("maximumBytesBilled", json.loads(body))
        self.assertGreater(queries, 50)

    def test_the_statements_of_a_run_stay_within_its_bytes(self):
        # Each table that a statement names bills at least 10 MiB.
        bodies = [json.loads(data)["query"] for method, url, data, headers in self.of("bigquery")
                  if url.path.endswith("/queries") and method == "POST" and "Content-Encoding" not in headers]
        most = sum(max(1, len(re.findall(r"(?:FROM|JOIN|INTO|UPDATE|MERGE) `", text))) * 10 * 2**20 for text in bodies)
        self.assertLess(most, bounds.BYTES)

    def test_every_parameter_is_published_by_stripe(self):
        seen = set()
        for method, url, data, _ in self.of("stripe"):
            collection, slash, _ = url.path.removeprefix("/v1/").partition("/")
            place = f"{method} {collection}{slash}"
            seen.add(place)
            names = {name.partition("[")[0] for name, _ in urllib.parse.parse_qsl((data or b"").decode() or url.query)}
            with self.subTest(place):
                self.assertEqual(names - set(getattr(stripe.params, PARAMETERS[place]).__annotations__), set())
        self.assertEqual(set(PARAMETERS) - seen, set())

    def test_the_version_is_the_one_that_the_jobs_ask_for(self):
        source = (ROOT / "Sources/BillingKit/StripeClient.swift").read_text()
        self.assertEqual(services.Stripe.VERSION, re.search(r'static let version = "([^"]+)"', source)[1])
        self.assertEqual(services.Stripe.VERSION, stripe.api_version)

    def test_the_types_of_events_are_those_of_the_jobs(self):
        source = (ROOT / "Sources/BillingKit/StripeEvent.swift").read_text()
        text = re.search(r"static let types =(.*?)\n\n", source, re.S)[1]
        names = re.findall(r'"([\w.]+)"', text)
        self.assertEqual(set(TYPES), {name if "." in name else f"customer.subscription.{name}" for name in names})
