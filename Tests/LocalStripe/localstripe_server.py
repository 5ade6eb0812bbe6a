"""Serves localstripe, a stateful Stripe server of an older API shape, on a free port, and prints "ready PORT".

Unlike the package's own command it listens on this machine only, keeps nothing on disk, lists events by several types, and ends
with its parent.
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


def list_events_by_types():
    """The package knows `type`, and Stripe's `types[]` is missing: https://docs.stripe.com/api/events/list"""
    list_all = resources.Event._api_list_all

    def listed(url, types=None, **arguments):
        events = list_all(url, **arguments)
        if types is not None:
            events._list = [event for event in events._list if event.type in types]
        return events

    resources.Event._api_list_all = listed


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
    list_events_by_types()
    asyncio.run(serve())


if __name__ == "__main__":
    main()
