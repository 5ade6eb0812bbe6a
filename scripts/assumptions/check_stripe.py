"""Stripe: listings, events, subscriptions, errors, headers."""
import time

from . import stripe
from .bounds import measured
from .facts import NotCheckable, check
from .stripe import account, events, listing, stripe_of


def ids(answer):
    return [item["id"] for item in answer.json.get("data", [])]


def created(answer):
    return [item["created"] for item in answer.json.get("data", [])]


@check("ST-01")
def order_of_events(trial):
    account(trial)
    settled(trial)
    times = created(listing(trial, "/events", limit="100").needed("list the events"))
    order = [event["type"].split(".")[-1] for event in events(trial) if event["data"]["object"]["id"] == account(trial)["subscriptions"][1]]
    # Within one second, only the kinds of events tell the order.
    return times == sorted(times, reverse=True) and order == ["deleted", "created"], (
        f"{len(times)} events, {'' if times == sorted(times, reverse=True) else 'not '}newest first; a canceled subscription's: {order}")


@check("ST-02")
def order_of_subscriptions(trial):
    wanted = account(trial)["subscriptions"][::-1]
    answer = listing(trial, "/subscriptions", status="all", limit="100").needed("list the subscriptions")
    found = [name for name in ids(answer) if name in wanted]
    return found == wanted, f"of four subscriptions the list has number {[wanted[::-1].index(name) + 1 for name in found]} in this order"


@check("ST-03")
def pages(trial):
    wanted = set(account(trial)["subscriptions"])
    found, sizes, cursor, more = [], [], None, True
    # A test account may have many others; the run's own are among the first or the last.
    while more and len(sizes) < 60:
        items = {"status": "all", "limit": "2", **({"starting_after": cursor} if cursor else {})}
        answer = listing(trial, "/subscriptions", **items).needed("list the subscriptions")
        page = ids(answer)
        found, cursor, more = found + page, page[-1] if page else None, answer.json.get("has_more")
        sizes.append(len(page))
        if not page or wanted <= set(found) and len(sizes) >= 3:
            break
    twice = len(found) - len(set(found))
    return max(sizes) <= 2 and not twice and wanted <= set(found), (
        f"{len(sizes)} pages of at most {max(sizes)}; {len(wanted & set(found))} of the run's 4 subscriptions; {twice} objects came twice")


@check("ST-04")
def missing_cursor(trial):
    answer = listing(trial, "/subscriptions", status="all", starting_after="sub_assumptions0none")
    error = answer.error
    return not answer.is_ok and error.get("code") == "resource_missing" and error.get("param") == "starting_after", (
        f"{answer.status}, code {error.get('code')}, param {error.get('param')}")


@check("ST-05")
def canceled(trial):
    found = account(trial)
    one, gone = found["customers"][0], found["subscriptions"][1]
    every = ids(listing(trial, "/subscriptions", status="all", customer=one).needed("list the subscriptions"))
    without = ids(listing(trial, "/subscriptions", customer=one).needed("list the subscriptions"))
    return gone in every and gone not in without, (
        f"a canceled subscription is {'' if gone in every else 'not '}in the list with status=all, and {'' if gone in without else 'not '}in the one without")


@check("ST-06")
def expanded(trial):
    answer = listing(trial, "/subscriptions", customer=account(trial)["customers"][2], **{"expand[]": "data.customer"}).needed("list the subscriptions")
    found = [item["customer"] for item in answer.json["data"]]
    objects = [c for c in found if isinstance(c, dict) and (c.get("metadata") or {}).get("created-by")]
    return bool(found) and len(objects) == len(found), f"{len(objects)} of {len(found)} subscriptions have their customer with its metadata"


def settled(trial):
    """How long it took until all events of the changes were listed."""
    def make():
        account(trial)
        began = time.monotonic()
        kinds = {("created", i) for i in range(4)} | {("updated", 0), ("deleted", 1)}
        names = account(trial)["subscriptions"]

        def shown(open_ones):
            found = {(e["type"].split(".")[-1], names.index(e["data"]["object"]["id"])) for e in events(trial)}
            return found & set(open_ones)

        return measured(trial.bounds, dict.fromkeys(sorted(kinds), began), shown, min(90, trial.limit), 0.3)
    return trial.once("settled", make)


@check("ST-07")
def types_of_events(trial):
    samples = settled(trial)
    names = account(trial)["subscriptions"]
    found = {names.index(e["data"]["object"]["id"]): [] for e in events(trial)}
    for event in events(trial):
        found[names.index(event["data"]["object"]["id"])].append(event["type"].split(".")[-1])
    return samples.is_complete, f"the subscriptions' events: {', '.join(f'{i + 1} {sorted(found[i])}' for i in sorted(found)) or 'none'}"


@check("ST-08")
def previous(trial):
    settled(trial)
    changed = [e for e in events(trial) if e["type"] == "customer.subscription.updated"]
    if not changed:
        return False, "a changed subscription has no event customer.subscription.updated"
    found = changed[-1]["data"].get("previous_attributes")
    return bool(found) and (found.get("metadata") or {}).get("word") == "first", f"after metadata.word was changed, previous_attributes is {found}"


@check("ST-09")
def late_events(trial):
    samples = settled(trial)
    found, now = account(trial), time.time()
    times = [e["created"] for e in events(trial)]
    if not times:
        raise NotCheckable("no event of the run is listed")
    drift = max(0.0, found["began"] - min(times), max(times) - now)
    text = f"events, from the last change until they were listed: {samples}; their times are off by {drift:.0f} s at most"
    if not samples.is_complete:
        raise NotCheckable(f"some events never came, see ST-07; {text}")
    return drift < 60 and samples.times[-1] < 60, text


@check("ST-10")
def filters(trial):
    settled(trial)
    query = {"limit": "100", "created[gte]": str(int(account(trial)["began"]) - 60)}
    one = listing(trial, "/events", **query, **{"types[]": ["customer.subscription.created"]}).needed("list the events")
    kinds = {event["type"] for event in one.json["data"]}
    later = listing(trial, "/events", **{**query, "created[gte]": str(int(time.time()) + 3600)}).needed("list the events")
    all_types = listing(trial, "/events", **query, **{"types[]": stripe.TYPES})
    return kinds == {"customer.subscription.created"} and not later.json["data"] and all_types.is_ok, (
        f"with one type: {sorted(kinds)}; of the next hour: {len(later.json['data'])}; with the {len(stripe.TYPES)} types of the jobs: {all_types.status}")


@check("ST-12")
def periods(trial):
    found = read(trial)
    items = found.get("items", {}).get("data", [])
    inside = [key for key in ("current_period_start", "current_period_end") if items and isinstance(items[0].get(key), int)]
    outside = [key for key in ("current_period_start", "current_period_end") if key in found]
    return len(inside) == 2 and not outside, f"the item has {inside or 'none of them'}, the subscription {outside or 'none of them'}"


def read(trial, number=0, **items):
    name = account(trial)["subscriptions"][number]
    return stripe_of(trial).call("GET", f"/subscriptions/{name}", items).needed("read a subscription").json


@check("ST-13")
def version(trial):
    answer = listing(trial, "/subscriptions", limit="1").needed("list the subscriptions")
    found = answer.headers.get("stripe-version")
    return found == trial.stripe.VERSION, f"asked for {trial.stripe.VERSION}, the answer names {found}"


@check("ST-14")
def request_id(trial):
    found = listing(trial, "/subscriptions", limit="1").headers.get("request-id", "")
    return found.startswith("req_"), f"the header Request-Id is {found!r}"


@check("ST-15")
def unknown_key(trial):
    answer = stripe_of(trial).call("GET", "/subscriptions", {"limit": "1"}, key="sk_test_assumptions0unknown")
    return answer.status == 401, f"{answer.status}"


@check("ST-16")
def unknown_subscription(trial):
    answer = stripe_of(trial).call("GET", "/subscriptions/sub_assumptions0none")
    return answer.status == 404, f"{answer.status}, code {answer.error.get('code')}"


@check("ST-17")
def test_mode(trial):
    found = read(trial)
    event = next(iter(events(trial)), {"livemode": "no event"})
    return found.get("livemode") is False and event["livemode"] is False, f"livemode of a subscription is {found.get('livemode')}, of an event {event['livemode']}"


@check("ST-18")
def metadata(trial):
    name = account(trial)["subscriptions"][2]
    sent = {"metadata[number]": "7", "metadata[empty]": "x"}
    stripe_of(trial).call("POST", f"/subscriptions/{name}", sent).needed("set metadata")
    before = read(trial, 2).get("metadata", {})
    trial.stripe.call("POST", f"/subscriptions/{name}", {"metadata[empty]": ""}).needed("empty a member of metadata")
    after = read(trial, 2).get("metadata", {})
    return before.get("number") == "7" and "empty" in before and "empty" not in after, (
        f"number is {before.get('number')!r}; the emptied member is {'still there' if 'empty' in after else 'gone'}")


@check("ST-19")
def items(trial):
    name = account(trial)["subscriptions"][0]
    answer = listing(trial, "/subscription_items", subscription=name, limit="100")
    found = [item.get("subscription") for item in answer.json.get("data", [])]
    inline = [item["id"] for item in read(trial)["items"]["data"]]
    return answer.is_ok and ids(answer) == inline and set(found) == {name}, f"{answer}, {len(found)} items of the subscriptions {sorted(map(str, set(found)))}"


@check("ST-20")
def deleted_customer(trial):
    found = account(trial)
    owner, name = found["customers"][2], found["subscriptions"][3]
    stripe_of(trial).call("DELETE", f"/customers/{owner}").needed("delete a customer")
    every = listing(trial, "/subscriptions", status="all", limit="100").needed("list the subscriptions")
    one = trial.stripe.call("GET", f"/subscriptions/{name}")
    return name in ids(every) and one.is_ok and one.json.get("status") == "canceled", (
        f"after its customer was deleted the subscription is {'' if name in ids(every) else 'not '}listed; its status is {one.json.get('status')}")


@check("ST-21")
def idempotency(trial):
    name = trial.run.dashed("once")
    stripe_of(trial)
    trial.record.note("customer", name)
    key = {"Idempotency-Key": name}
    form = {"email": stripe.EMAIL, "description": name, **stripe_of(trial).marked()}
    answers = [trial.stripe.call("POST", "/customers", form, key) for _ in range(2)]
    if answers[0].status in (401, 403):
        trial.record.forget("customer", name)
        raise NotCheckable(f"the key may not create a customer: {answers[0].status}")
    names = {answer.json.get("id") for answer in answers}
    return all(a.is_ok for a in answers) and len(names) == 1, f"two requests with one key: {answers[0].status} and {answers[1].status}, {len(names)} customers"


@check("ST-24")
def instants(trial):
    found = read(trial, 1)
    values = {key: found.get(key) for key in ("created", "start_date", "ended_at")}
    return all(isinstance(value, int) for value in values.values()), f"{values}"
