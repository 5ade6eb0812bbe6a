#!/usr/bin/env python3
"""A BigQuery emulator for tests and benchmarks: the package bqemulator (REST, DuckDB inside) with our overlay.

    emulator.py [--rest-port 0] [--delay-ms 20] [--exit-with PID] [--stock] [option of "bqemulator start" ...]

Prints "ready PORT" on standard output when it serves requests; port 0, the default, is any free one. Everything is kept
in memory and gone when the process ends. Point the service at it with BIGQUERY_EMULATOR_HOST=http://127.0.0.1:PORT.

What the overlay corrects is listed in overlay/routes.py, what it adds for tests in overlay/control.py.
Still different from BigQuery: POSTs are served one at a time; quotas, streaming buffers and propagation delays do not
exist; nothing is billed; no credentials are checked. Error texts come from documentation and public reports.
"""
import argparse
import os
import sys
import threading
import time
from pathlib import Path


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rest-port", type=int, default=0, help="port of the REST API (default: any free one)")
    parser.add_argument("--delay-ms", type=float, default=0, metavar="N", help="wait N ms before each request is served")
    parser.add_argument("--exit-with", type=int, metavar="PID", help="end as soon as PID is not the parent any more")
    parser.add_argument("--log-level", default="error")
    parser.add_argument("--stock", action="store_true", help="leave the corrections out")
    return parser.parse_known_args()


def exit_with(parent):
    """Ends this process soon after its parent: a test run that is killed leaves no emulator behind.

    Asked for repeatedly, because a parent-death signal comes when the thread that started us ends, not the process.
    """
    def watch():
        while os.getppid() == parent:
            time.sleep(0.25)
        os._exit(1)

    threading.Thread(target=watch, name="exit-with", daemon=True).start()


def quiet():
    """The package logs while it is imported, before it has read its log level."""
    import logging

    import structlog
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))


def use_packaged_extension():
    """DuckDB's spatial extension from the installed package: no copy under HOME, no download."""
    import duckdb
    import duckdb_extension_spatial as package
    from bqemulator.storage.engine import DuckDBEngine
    from bqemulator.types import geography
    file = Path(package.__file__).parent / "extensions" / f"v{duckdb.__version__}" / "spatial.duckdb_extension"

    def load(connection):
        connection.execute("LOAD '" + str(file).replace("'", "''") + "'")
        return connection

    def conversion_connection():
        with geography._CONV_LOCK:
            if geography._CONV_CONN is None:
                geography._CONV_CONN = load(duckdb.connect(":memory:"))
            return geography._CONV_CONN

    DuckDBEngine._load_spatial = lambda self: load(self._connection)
    geography._ensure_conv_conn = conversion_connection


def no_pandas():
    """DuckDB tries to import pandas for every value that is bound; where it is not installed, fail without searching."""
    from importlib.util import find_spec

    class NoPandas:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name == "pandas":
                raise ModuleNotFoundError("No module named 'pandas'", name="pandas")

    if find_spec("pandas") is None:
        sys.meta_path.insert(0, NoPandas)


class NoServer:
    """In the place of the package's gRPC server: the service speaks REST only."""
    async def start(self):
        pass

    async def stop(self, grace):
        pass


def under_control(delay, announcements):
    """Puts the control endpoints around the application, and announces the server's port."""
    from bqemulator import server
    from overlay.control import Control
    stock_create, stock_start = server.create_app, server.EmulatorServer.start

    async def start(self):
        await stock_start(self)
        print("ready", self.rest_port, file=announcements, flush=True)

    server.create_app = lambda context: Control(stock_create(context), delay)
    server.EmulatorServer.start = start
    server.build_grpc_server = lambda context: (NoServer(), 0)


def main():
    options, others = arguments()
    if options.exit_with:
        exit_with(options.exit_with)
    announcements = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)       # standard output is for the line "ready PORT" alone
    quiet()
    # refuse anything but loopback, and do not look for DuckDB extensions on the network
    os.environ.setdefault("BQEMU_REST_HOST", "127.0.0.1")
    os.environ.setdefault("BQEMU_ENABLE_FORMAT_EXTENSIONS", "false")
    use_packaged_extension()
    if not options.stock:
        from overlay import routes
        no_pandas()
        routes.install()
    under_control(options.delay_ms / 1000, announcements)
    from bqemulator.cli import main as bqemulator
    sys.argv = ["bqemulator", "start", "--ephemeral", "--rest-port", str(options.rest_port), "--log-level", options.log_level] + others
    bqemulator()


if __name__ == "__main__":
    main()
