"""What the checks of one run share: the services, the names, and what was created once for several checks."""
import concurrent.futures
import functools
import threading

from . import kinds, record
from .bounds import Bounds
from .facts import Broken
from .services import BigQuery

COLUMNS = [{"name": "id", "type": "STRING", "mode": "REQUIRED"}, {"name": "n", "type": "INTEGER"}]


class Trial:
    """`is_stand_in` is true against the emulator and the stand-ins. A service that is `None` cannot be reached, for the reason in
    `missing`."""

    def __init__(self, project, region, location, folder, google=None, stripe=None, emulator=None, stand_in=False, run=None, limit=120):
        self.project, self.region, self.is_stand_in = project, region, stand_in
        self.run = run or record.Run()
        self.bounds, self.missing = Bounds(), {}
        self.google, self.stripe = google, stripe and stripe(self.run.labels)
        self.bigquery = BigQuery(project, location, self.bounds, self.run.labels, google, emulator)
        # The longest wait for what becomes visible late.
        self.limit = limit
        # A stand-in has no pace of its own: pauses are short there.
        self.pace = 0.02 if stand_in else 1
        self.record = record.Record(folder, self.run, kinds.kinds_of(self))
        self._lock, self._numbers = threading.Lock(), iter(range(10_000))
        self.state = {}

    def once(self, name, make):
        """The value of `make`, made by the first check that needs it. A failure is the same for every check."""
        if name not in self.state:
            try:
                self.state[name] = make()
            except Broken as error:
                self.state[name] = error
        if isinstance(self.state[name], Broken):
            raise self.state[name]
        return self.state[name]

    def at_once(self, count, work):
        """The results of `work(0)` to `work(count - 1)`, all at the same time."""
        with concurrent.futures.ThreadPoolExecutor(count) as pool:
            return list(pool.map(work, range(count)))

    def number(self):
        with self._lock:
            return next(self._numbers)

    # ---------------------------------------------------------------- BigQuery
    def create_dataset(self, suffix, **body):
        name = self.run.underscored(suffix)
        self.record.note("dataset", name)
        body = {"datasetReference": {"datasetId": name}, "location": self.bigquery.location, "labels": self.run.labels, **body}
        return name, self.bigquery.call("POST", "/datasets", body)

    @functools.cached_property
    def dataset(self):
        """The dataset of most checks."""
        name, answer = self.create_dataset("tables")
        answer.needed("create a dataset")
        return name

    def create_table(self, table, fields=None, dataset=None, **body):
        dataset = dataset or self.dataset
        body = {"tableReference": {"projectId": self.project, "datasetId": dataset, "tableId": table}, "schema": {"fields": fields or COLUMNS}, **body}
        return self.bigquery.call("POST", f"/datasets/{dataset}/tables", body)

    def table(self, fields=None, dataset=None, **body):
        """The path and the SQL name of a new table."""
        dataset, name = dataset or self.dataset, f"t{self.number()}"
        self.create_table(name, fields, dataset, **body).needed("create a table")
        return f"/datasets/{dataset}/tables/{name}", f"`{self.project}.{dataset}.{name}`"
