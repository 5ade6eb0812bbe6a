"""The guided tour of docs/architecture.md: its files exist, and its walks stay short."""

import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
# The most files that a newcomer should have to open on each walk.
LIMITS = {
    "From OrgSyncAllJob to tables.patch and back": 40,
    "From QuotaResetDailyJob to its MERGE": 12,
    "One queue item through BillingSyncRetryJob": 25,
}


def walks() -> dict[str, list[str]]:
    """The files of each walk, by the walk's heading."""
    text = (ROOT / "docs/architecture.md").read_text()
    tour = text.split("## Guided tour")[-1].split("\n## ")[0]
    sections = re.split(r"^### ", tour, flags=re.M)[1:]
    return {section.split("\n")[0]: re.findall(r"`(Sources/[^`]+)`", section) for section in sections}


class TestTour(unittest.TestCase):
    def test_the_walks_of_the_tour_are_those_with_a_limit(self):
        self.assertEqual(list(walks()), list(LIMITS))

    def test_every_file_of_the_tour_exists_and_is_named_once(self):
        for name, files in walks().items():
            self.assertEqual([file for file in files if not (ROOT / file).is_file()], [], name)
            self.assertEqual(len(files), len(set(files)), name)

    def test_no_walk_is_longer_than_its_limit(self):
        for name, files in walks().items():
            self.assertTrue(0 < len(files) <= LIMITS[name], f"{name}: {len(files)} files")


if __name__ == "__main__":
    unittest.main()
