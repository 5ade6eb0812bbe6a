"""Serves localstripe, a stateful Stripe server of an older API shape, on a free port, and prints "ready PORT".

Unlike the package's own command it listens on this machine only, keeps nothing on disk, and ends with its parent. Its events are
nearer to Stripe's: they are listed newest first and by several types, and a change of a subscription has one.
"""
import argparse
import asyncio
import os
import threading
import time

from aiohttp import web
from localstripe import resources
from localstripe.server import app


def end_with(parent):
    while os.getppid() == parent:
        time.sleep(0.25)
    os._exit(0)


def list_events_as_stripe():
    """The package knows `type` and lists the oldest first; Stripe has `types[]` and lists the newest first:
    https://docs.stripe.com/api/events/list"""
    list_all = resources.Event._api_list_all

    def listed(url, types=None, **arguments):
        events = list_all(url, **arguments)
        events._list = [event for event in reversed(events._list) if types is None or event.type in types]
        return events

    resources.Event._api_list_all = listed


def note_changes_of_subscriptions():
    """The package ignores a subscription's new metadata and has no event of its change. Here an empty value removes the member, and
    `previous_attributes` has the former values of what changed: https://docs.stripe.com/api/events/object"""
    update = resources.Subscription._api_update

    def updated(id, metadata=None, **arguments):
        subscription = resources.Subscription._api_retrieve(id)
        before = subscription._export()
        before_metadata = dict(subscription.metadata)
        update(id, **arguments)
        merged = {**before_metadata, **(metadata or {})}
        subscription.metadata = {name: value for name, value in merged.items() if value != ""}
        after = subscription._export()
        former = {name: value for name, value in before.items() if name != "metadata" and after.get(name) != value}
        changed = {name: before_metadata.get(name) for name in {**before_metadata, **subscription.metadata}
                   if before_metadata.get(name) != subscription.metadata.get(name)}
        event = resources.Event("customer.subscription.updated", subscription)
        event.data["previous_attributes"] = former | ({"metadata": changed} if changed else {})
        return subscription

    resources.Subscription._api_update = updated


async def serve():
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(f"ready {site._server.sockets[0].getsockname()[1]}", flush=True)
    await asyncio.Event().wait()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--exit-with", type=int, metavar="PID")
    parent = parser.parse_args().exit_with
    if parent:
        threading.Thread(target=end_with, args=(parent,), daemon=True).start()
    type(resources.store).dump_to_disk = lambda self: None
    list_events_as_stripe()
    note_changes_of_subscriptions()
    asyncio.run(serve())


if __name__ == "__main__":
    main()
