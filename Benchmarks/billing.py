"""What the benchmarks of billing-sync-reconcile need: a Stripe of many subscriptions, and a warehouse that agrees with it.

All ids are as long as Stripe's, since the job keeps them in memory.
"""
import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

PRODUCT = {"id": f"prod_{1:014}", "livemode": False,
           "metadata": {"plan_id": "starter", "teamMembers": "2", "providers": "3", "pipelinesPerDay": "6", "concurrentPipelines": "1"}}
# A subscription of Stripe has about 4 KB and its customer 1 KB, of which these jobs read little.
PADDING = {f"field_{number}": "x" * 40 for number in range(90)}
PERIOD_END = 1_800_000_000


def slug(number):
    return f"customer_{number:08}"


def subscription_id(number):
    return f"sub_{number:024}"


def customer_id(number):
    return f"cus_{number:014}"


def row_id(number):
    return f"row_{number:032}"


class Stripe:
    """Answers as Stripe does, compressed, with the customer in each subscription, and counts the requests."""

    def __init__(self, subscriptions):
        self.subscriptions, self.requests = subscriptions, 0
        stripe = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                stripe.requests += 1
                url = urlparse(self.path)
                body = json.dumps(stripe.answer(url.path, {k: v[0] for k, v in parse_qs(url.query).items()})).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                if "gzip" in self.headers.get("Accept-Encoding", ""):
                    body = gzip.compress(body, 1)
                    self.send_header("Content-Encoding", "gzip")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, path, query):
        if path == "/v1/products":
            return {"data": [PRODUCT], "has_more": False}
        first = int(query.get("starting_after", "sub_0")[4:]) + 1
        last = min(first + int(query["limit"]), self.subscriptions + 1)
        return {"data": [self.subscription(number) for number in range(first, last)], "has_more": last <= self.subscriptions}

    @staticmethod
    def subscription(number):
        return {"id": subscription_id(number), "status": "active", "created": 1700000000, "livemode": False,
                "metadata": {"org_slug": slug(number)}, "cancel_at_period_end": False,
                "customer": {"id": customer_id(number), "metadata": {}, "padding": "x" * 1000},
                "items": {"data": [{"id": f"si_{number:014}", "current_period_end": PERIOD_END,
                                    "price": {"id": f"price_{1:024}", "product": PRODUCT["id"]}}], "has_more": False}, **PADDING}


def statements(organizations):
    """Makes organizations that agree with the Stripe above; bootstrap has made the tables."""
    def padded(prefix, digits):
        return f"CONCAT('{prefix}_', LPAD(CAST(n AS STRING), {digits}, '0'))"

    numbers = f"FROM UNNEST(GENERATE_ARRAY(1, {organizations})) AS n"
    yield f"""INSERT INTO `organizations.org_profiles` (
        org_slug, company_name, admin_email, org_dataset_id, status, subscription_plan, created_at)
        SELECT {padded('customer', 8)}, 'Company', 'admin@acme.example', '', 'ACTIVE', 'STARTER',
          TIMESTAMP '2025-01-01 00:00:00+00' {numbers}"""
    yield f"""INSERT INTO `organizations.org_subscriptions` (
        subscription_id, org_slug, plan_name, status, daily_limit, monthly_limit, concurrent_limit, seat_limit, providers_limit,
        created_at, stripe_customer_id, stripe_subscription_id, current_period_end, cancel_at_period_end)
        SELECT {padded('row', 32)}, {padded('customer', 8)}, 'STARTER', 'ACTIVE', 6, 180, 1, 2, 3,
          TIMESTAMP '2025-01-01 00:00:00+00', {padded('cus', 14)}, {padded('sub', 24)},
          TIMESTAMP '2027-01-15 08:00:00+00', FALSE {numbers}"""
