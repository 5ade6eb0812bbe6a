"""The objects that a run creates in a Stripe account of tests: one product, one plan, customers, subscriptions on trial. Nobody pays (fact ST-21)."""
import time

from .facts import NotCheckable
from .kinds import EMAIL
from .services import Stripe

TYPES = [f"customer.subscription.{word}" for word in ("created", "updated", "deleted", "paused", "resumed", "pending_update_applied",
                                                      "pending_update_expired")] + [
    "product.created", "product.updated", "product.deleted", "price.updated", "price.deleted"]


def stripe_of(trial) -> Stripe:
    if not trial.stripe:
        raise NotCheckable(trial.missing["stripe"])
    return trial.stripe


def create(trial, path, items, kind=None, name=None):
    """The new object, whose name is recorded first. A key that may only read is no fault of Stripe's."""
    stripe = stripe_of(trial)
    if kind:
        trial.record.note(kind, name)
    answer = stripe.call("POST", path, {**items, **stripe.marked()})
    if answer.status in (401, 403):
        if kind:
            trial.record.forget(kind, name)
        raise NotCheckable(f"the key may not create what the check needs ({path}): {answer.status}")
    return answer.needed(f"create {path}").json


def plan(trial):
    def make():
        product, plan = trial.run.underscored("product"), trial.run.underscored("plan")
        create(trial, "/products", {"id": product, "name": "assumptions.sh"}, "product", product)
        create(trial, "/plans", {"id": plan, "amount": "1000", "currency": "usd", "interval": "month", "product": product}, "plan", plan)
        return plan
    return trial.once("plan", make)


def customer(trial, suffix):
    name = trial.run.dashed(suffix)
    return create(trial, "/customers", {"email": EMAIL, "description": name}, "customer", name)["id"]


def subscription(trial, owner):
    return create(trial, "/subscriptions", {"customer": owner, "items[0][plan]": plan(trial), "trial_period_days": "7", "metadata[word]": "first"})["id"]


def account(trial):
    """Four subscriptions of two customers: the first is changed, the second canceled, the fourth belongs to a deleted customer."""
    def make():
        began = time.time()
        # First, so that it is deleted last.
        plan(trial)
        one, two, gone = (customer(trial, f"customer{i}") for i in range(3))
        ids = []
        for owner in (one, one, two, gone):
            ids.append(subscription(trial, owner))
            # Stripe's instants are whole seconds: so each change has its own.
            trial.bounds.wait(1.05)
        stripe_of(trial).call("POST", f"/subscriptions/{ids[0]}", {"metadata[word]": "second"}).needed("change a subscription")
        trial.bounds.wait(1.05)
        trial.stripe.call("DELETE", f"/subscriptions/{ids[1]}").needed("cancel a subscription")
        return {"began": began, "ended": time.time(), "customers": [one, two, gone], "subscriptions": ids}
    return trial.once("stripe account", make)


def listing(trial, path, **items):
    return stripe_of(trial).call("GET", path, items)


def events(trial, **items):
    """The events of this run's subscriptions, newest first as Stripe gives them."""
    found = account(trial)
    query = {"limit": "100", "created[gte]": str(int(found["began"]) - 60), "types[]": TYPES, **items}
    reply = listing(trial, "/events", **query).needed("list the events")
    mine = set(found["subscriptions"])
    return [event for event in reply.json.get("data", []) if event["data"]["object"].get("id") in mine]
