#!/usr/bin/env python3
"""Tests of Scripts/report/check: a page that is right, and pages with a mistake each.

Usage: Tests/Report/check_test.py [--no-browser]
"""

import os
import re
import struct
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CHECK = os.path.join(ROOT, "Scripts", "report", "check")
BROWSER = "--no-browser" not in sys.argv

DATA = '{"ways": [{"seconds": [0.25, 1e-06], "name": "a", "on": true}], "bytes": 1073741824}'
PAGE = """<!DOCTYPE html>
<html><head><meta name="color-scheme" content="light dark"><style>
body { margin: 8px; } .narrow { display: none; } .box { overflow-x: auto; }
@media (max-width: 719px) { .wide { display: none; } .narrow { display: block; } }
</style></head><body>
<p id="first">The first took <span data-key="ways.0.seconds.0" data-value="0.25">0.25 s</span>.</p>
<div class="box"><table style="width: 3000px"><tr><th>1 GiB</th>
<td data-key="bytes" data-value="1073741824.0">1 GiB</td><td>mlock(2)</td></tr></table></div>
<svg class="wide" width="600" height="100" aria-label="Times">
<circle cx="50" cy="50" r="4" data-key="ways.0.seconds.1" data-value="1e-06"/>
<text x="10" y="20">one</text><text x="10" y="40">two</text><text x="80" y="20">three</text></svg>
<svg class="narrow" width="300" height="100" aria-label="Times"><text x="10" y="50">one</text></svg>
</body></html>
"""


def with_start(text):
    return PAGE.replace('<p id="first">', text + '<p id="first">')


NUMBERS = {
    "a number without a key": (
        with_start('<b data-value="0.25">0.25</b>'), "0.25 is without a data-key"),
    "a key without a number": (
        with_start('<b data-key="bytes">1</b>'), "bytes is without a data-value"),
    "another number than that of the data": (
        PAGE.replace('"0.25"', '"0.26"'), "ways.0.seconds.0 is 0.25 in the data, 0.26 on the page"),
    "a number that is rounded": (
        PAGE.replace('"1073741824.0"', '"1073741800"'), "bytes is 1073741824 in the data"),
    "what is not a number": (PAGE.replace('"0.25"', '"x"'), "0.25 in the data, x on the page"),
    "a key that the data lack": (
        PAGE.replace("seconds.0", "minutes.0"), "no ways.0.minutes.0 (at minutes)"),
    "an index beyond the end": (PAGE.replace("seconds.0", "seconds.2"), "no ways.0.seconds.2"),
    "a negative index": (PAGE.replace("seconds.0", "seconds.-1"), "no ways.0.seconds.-1"),
    "the key of a name": (PAGE.replace("seconds.0", "name"), 'ways.0.name is "a", not a number'),
    "the key of a truth": (
        with_start('<b data-key="ways.0.on" data-value="1">1</b>'), "is true, not a number"),
    "a cell with a bare number": (
        PAGE.replace("<td>mlock(2)", "<td>12.5 ms"), "the cell '12.5 ms' has no data-key"),
    "a page without numbers": ("<html><head></head><body>x</body></html>", "has no numbers"),
    "a picture of a server": (
        with_start('<img src="https://example.org/x.png" alt="">'), "<img> loads https://example"),
    "a picture beside the page": (with_start('<img src="x.png" alt="">'), "<img> loads x.png"),
    "a style sheet of a server": (
        with_start('<link rel="stylesheet" href="//example.org/x.css">'), "<link> loads //example"),
    "a font of a server": (
        PAGE.replace("<style>", "<style>@font-face { src: url(https://example.org/x) }"),
        "a style loads https://example.org/x"),
    "an imported style sheet": (
        PAGE.replace("<style>", '<style>@import "x.css";'), "a style loads x.css"),
}
LAYOUT = {
    "an error of a script": (
        with_start("<script>undefinedFunction()</script>"), "script error: Uncaught Reference"),
    "a later error of a script": (
        with_start("<script>setTimeout(() => { throw Error('late') }, 100)</script>"), "late"),
    "an error on the console": (
        with_start("<script>console.error('wrong')</script>"), "console: wrong"),
    "a request of a script": (
        with_start("<script>fetch('https://example.org/x').catch(() => 0)</script>"),
        "https://example.org/x"),
    "a page that is too wide for a telephone": (
        with_start('<div style="width: 500px">x</div>'),
        "narrow, light: the page is 508 points wide, because of <div>"),
    "texts that overlap": (PAGE.replace('x="80"', 'x="20"'), "Times: 'three' overlaps 'one'"),
    "a text that is cut at the left": (
        PAGE.replace('<text x="80"', '<text text-anchor="end" x="20"'),
        "'three' is outside of the picture"),
    "a text that is cut below": (PAGE.replace('y="40"', 'y="110"'), "'two' is outside"),
    "texts that overlap in the dark": (
        PAGE.replace("<style>", "<style>@media (prefers-color-scheme: dark) "
                     "{ svg { font-size: 40px; } }"), "wide, dark: Times: 'two' overlaps 'one'"),
    "texts that overlap in a part that is closed": (
        with_start('<details><svg aria-label="inner"><text y="20">a</text><text y="20">b</text>'
                   '</svg></details>'), "inner: 'b' overlaps 'a'"),
    "a picture without a title": (
        PAGE.replace('height="100" aria-label="Times"', 'height="100"'), "a picture has no title"),
}


class CheckTests(unittest.TestCase):
    def check(self, page, *arguments):
        with tempfile.TemporaryDirectory() as folder:
            paths = [os.path.join(folder, name) for name in ("page.html", "data.json")]
            for path, text in zip(paths, (page, DATA)):
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
            result = subprocess.run(
                [CHECK, *paths, *(a.replace("FOLDER", folder) for a in arguments)],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, text=True)
            pictures = {}
            for name in os.listdir(folder):
                if name.endswith(".png"):
                    with open(os.path.join(folder, name), "rb") as file:
                        pictures[name] = struct.unpack(">I", file.read(20)[16:])[0]
            return result.returncode, result.stdout + result.stderr, pictures

    def test_numbers(self):
        status, output, _ = self.check(PAGE, "--no-browser")
        self.assertEqual(status, 0, output)
        self.assertIn("3 numbers", output)
        for name, (page, message) in NUMBERS.items():
            with self.subTest(name):
                self.assertNotEqual(page, PAGE)
                status, output, _ = self.check(page, "--no-browser")
                self.assertEqual(status, 1, output)
                self.assertIn(message, output)

    @unittest.skipUnless(BROWSER, "no browser")
    def test_layout(self):
        status, output, pictures = self.check(PAGE, "--screenshots", "FOLDER")
        self.assertEqual(status, 0, output)
        # Only the variants that are visible are measured.
        self.assertIn("wide, light: 1 pictures with 3 texts", output)
        self.assertIn("narrow, dark: 1 pictures with 1 texts", output)
        self.assertEqual(
            pictures,
            {
                "narrow-dark.png": 390, "narrow-light.png": 390, "wide-dark.png": 1280,
                "wide-light.png": 1280,
            })
        for name, (page, message) in LAYOUT.items():
            with self.subTest(name):
                self.assertNotEqual(page, PAGE)
                # The numbers are right, so that only the layout can fail.
                self.assertEqual(self.check(page, "--no-browser")[0], 0)
                status, output, _ = self.check(page)
                self.assertEqual(status, 1, output)
                self.assertIn(message, output)
                if " dark: " in message:
                    self.assertIsNone(re.search("light: Times", output))


if __name__ == "__main__":
    unittest.main(argv=[a for a in sys.argv if a != "--no-browser"])
