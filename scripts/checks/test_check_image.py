"""check-image.sh: when the check is repeated, and what it says where it cannot run."""
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INPUTS = ("Dockerfile", ".dockerignore", "Package.swift", "scripts/check-image.sh", "scripts/lib/image-root.sh", "scripts/lib/image-checks.sh",
          "scripts/lib/setup.sh", *(f"Sources/{name}/module.modulemap" for name in ("CCurl", "COpenSSL", "CZlib")))


class CheckImageTests(unittest.TestCase):
    def setUp(self):
        """A copy of what the check depends on, and a PATH without apt-get, so that nothing is ever built."""
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.root, bin_folder = folder / "repository", folder / "bin"
        bin_folder.mkdir()
        for name in ("bash", "cat", "cut", "dirname", "grep", "sed", "sha256sum"):
            (bin_folder / name).symlink_to(shutil.which(name))
        self.environment = {**os.environ, "PATH": str(bin_folder)}
        for name in INPUTS:
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, self.root / name)
        function = 'eval "$(sed -n "/^inputs() {/,/^}/p" scripts/check-image.sh)"; inputs'
        found = subprocess.run(["bash", "-euc", function], cwd=self.root, capture_output=True, text=True, check=True).stdout
        (self.root / "deploy").mkdir()
        (self.root / "deploy/checked-image.txt").write_text(f"# written by the check\ninputs {found}")

    def check(self, *arguments):
        return subprocess.run([self.root / "scripts/check-image.sh", *arguments], env=self.environment, capture_output=True, text=True,
                              check=False, stdin=subprocess.DEVNULL)

    def replace(self, name, old, new):
        text = (self.root / name).read_text()
        self.assertIn(old, text)
        (self.root / name).write_text(text.replace(old, new, 1))

    def test_what_was_checked_is_not_checked_again(self):
        done = self.check("--if-changed")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("are those that were checked last", done.stderr)

    def test_a_change_of_anything_that_decides_is_not_passed_over(self):
        for name, old, new in (("Dockerfile", "USER 65532", "USER 0"), (".dockerignore", "!Sources", "!Source"), ("Package.swift", '"now"', '"lazy"'),
                               ("Package.swift", 'job("BootstrapJob"', 'job("OtherJob"'), ("Package.swift", 'pkgConfig: "libcurl"', 'pkgConfig: "curl"'),
                               ("Sources/CZlib/module.modulemap", 'link "z"', 'link "y"'), ("scripts/lib/image-root.sh", "1777", "777"),
                               ("scripts/lib/image-checks.sh", "limit=16000000", "limit=99000000")):
            with self.subTest(name=name, new=new):
                self.replace(name, old, new)
                done = self.check("--if-changed")
                self.assertEqual(done.returncode, 2)
                self.assertIn("THE IMAGES WERE NOT CHECKED: this ", done.stderr)
                self.replace(name, new, old)
        self.assertEqual(self.check("--if-changed").returncode, 0)

    def test_a_new_test_target_does_not_repeat_it(self):
        self.replace("Package.swift", 'tests("HTTPTransportTests"', 'tests("MoreTests"),\n        tests("HTTPTransportTests"')
        self.assertEqual(self.check("--if-changed").returncode, 0)

    def test_without_a_record_or_the_option_it_is_always_repeated(self):
        self.assertEqual(self.check().returncode, 2)
        (self.root / "deploy/checked-image.txt").unlink()
        self.assertEqual(self.check("--if-changed").returncode, 2)


if __name__ == "__main__":
    unittest.main()
