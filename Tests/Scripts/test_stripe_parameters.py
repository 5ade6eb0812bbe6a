"""The parameters that the tests' Stripe accepts are among those that Stripe publishes.

Tests/BillingKitTests/Support/WorldStripe.swift refuses every request with a parameter that its table lacks. The package "stripe" is
generated from Stripe's OpenAPI description, so it says whether that table is right.
"""
import pathlib
import re
import sys
import typing
import unittest

import stripe
from stripe.params import (
    EventListParams, PriceListParams, ProductListParams, SubscriptionItemListParams, SubscriptionListParams,
)

ROOT = pathlib.Path(__file__).resolve().parents[2]
LISTS = {
    "events": EventListParams, "prices": PriceListParams, "products": ProductListParams,
    "subscription_items": SubscriptionItemListParams, "subscriptions": SubscriptionListParams,
}
# The form in which a list of texts is sent: https://docs.stripe.com/api/expanding_objects
SENT = {"expand": "expand[]", "types": "types[]"}


def published(parameters):
    """The names of a list's own parameters, without those of the package's requests."""
    return {SENT.get(name, name) for name in parameters.__annotations__} - set(
        stripe.RequestOptions.__annotations__)


def accepted():
    """The table in the Swift source, by path."""
    source = (ROOT / "Tests/BillingKitTests/Support/WorldStripe.swift").read_text()
    table = re.search(r"parameters: \[String: Set<String>\] = \[(.*?)\n    \]\n", source, re.S).group(1)
    entries = re.findall(r'^        "(\w+)": \[(.*?)\],$', table, re.S | re.M)
    return {name: set(re.findall(r'"([^"]+)"', names)) for name, names in entries}


class StripeParameters(unittest.TestCase):
    def test_no_list_accepts_what_stripe_does_not_publish(self):
        table = accepted()
        self.assertEqual(table.keys(), LISTS.keys())
        for name, parameters in LISTS.items():
            with self.subTest(name):
                self.assertGreater(len(table[name]), 3)
                self.assertEqual(table[name] - published(parameters), set())

    def test_the_client_asks_for_the_version_that_was_compared(self):
        source = (ROOT / "Sources/BillingKit/StripeClient.swift").read_text()
        version = re.search(r'static let version = "([^"]+)"', source).group(1)
        self.assertEqual(version, stripe.api_version)

    def test_the_types_of_events_are_published_and_fit_into_one_request(self):
        source = (ROOT / "Sources/BillingKit/StripeEvent.swift").read_text()
        text = re.search(r"static let types =(.*?)\n\n", source, re.S).group(1)
        names = re.findall(r'"([\w.]+)"', text)
        types = {name if "." in name else f"customer.subscription.{name}" for name in names}
        known = set(typing.get_args(typing.get_type_hints(stripe.Event)["type"]))
        self.assertEqual(types - known, set())
        self.assertTrue(10 <= len(types) <= 20, types)


if __name__ == "__main__":
    sys.exit(unittest.main())
