"""Each check of the style finds its violation and accepts similar code."""
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from check_style import problems

SCRIPT = Path(__file__).with_name("check_style.py")


class StyleTests(unittest.TestCase):
    def found(self, files):
        with tempfile.TemporaryDirectory() as folder:
            for path, text in files.items():
                file = Path(folder, path)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)
            return [(path, line) for path, line, _ in problems(Path(folder), list(files))]

    def test_finds(self):
        cases = {
            "long file": ("Sources/A/A.swift", "let a = 1\n" * 401, 401),
            "long job": ("Sources/Jobs/XJob/XJob.swift", "// x\n" * 81, 81),
            "all of Foundation": ("Sources/A/A.swift", "\npackage import Foundation\n", 2),
            "type name": ("Sources/A/A.swift", "struct QuotaManager {}\n", 1),
            "public": ("Sources/A/A.swift", "@frozen public struct A {}\n", 1),
            "hidden configuration error": ("Sources/A/A.swift", "let x = try? EnvironmentReader().x()\n", 1),
            "marker": ("Tests/A/A.swift", "// TO" + "DO: later\n", 1),
            "stub": ("Sources/A/A.swift", 'fatalError("not implemented")\n', 1),
            "resolved": ("Package.resolved", "{}", 1),
            "test without attribute": ("Tests/A/ATests.swift", "@Suite struct A {\n    func opensTheDay() {}\n}\n", 2),
            "after a test": ("Tests/A/ATests.swift", "struct ATests {\n    @Test func a() { b { } }\n    func c() {}\n}\n", 3),
            "old name": ("Tests/A/ATests.swift", "@Suite struct A {\n    func testIt() { testIt() }\n}\n", 2),
            "in an extension": ("Tests/A/B.swift", "extension ATests {\n    func opensTheDay() async throws {}\n}\n", 2),
        }
        for name, (path, text, line) in cases.items():
            with self.subTest(name):
                self.assertEqual(self.found({path: text}), [(path, line)])

    def test_leaves_alone(self):
        cases = {
            "allowed length": ("Sources/A/A.swift", "let a = 1\n" * 400),
            "allowed length of a job": ("Sources/Jobs/XJob/XJob.swift", "// x\n" * 80),
            "essentials": ("Sources/A/A.swift", "import FoundationEssentials\n"),
            "embedded": ("Sources/EmbeddedWarehouse/A.swift", "import Foundation\n"),
            "use of a foreign type": ("Sources/Tools/A.swift", "let m = FileManager.default\nextension FileManager {}\n"),
            "words in text": ("Sources/A/A.swift", 'let s = "struct XManager"  // public struct YManager\n'),
            "attribute with a closure": ("Tests/A/ATests.swift", "@Suite struct A {\n    @Test(arguments: [1].map { $0 })\n    func a(b: Int) {}\n}\n"),
            "stopped sleep": ("Sources/A/A.swift", "let r = EnvironmentReader()\ntry? await sleep()\n"),
            "called": ("Tests/A/ATests.swift", "@Suite struct A {\n    @Test func a() { make() }\n    func make() {}\n}\n"),
            "nested type": ("Tests/A/ATests.swift", "@Suite struct A {\n    struct Fake: Clock {\n        func now() {}\n    }\n}\n"),
            "no suite": ("Tests/TestSupport/Server.swift", "struct Server {\n    package func start() {}\n}\n"),
        }
        for name, (path, text) in cases.items():
            with self.subTest(name):
                self.assertEqual(self.found({path: text}), [])

    def test_prints_place_and_reason_and_fails(self):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["git", "init", "-q", folder], check=True)
            Path(folder, "Sources").mkdir()
            Path(folder, "Sources/A.swift").write_text("public struct A {}\n")
            run = subprocess.run([sys.executable, SCRIPT, folder], stdout=subprocess.PIPE, text=True)
        self.assertEqual((run.returncode, run.stdout), (1, "Sources/A.swift:1: public: use package across targets\n"))


if __name__ == "__main__":
    unittest.main()
