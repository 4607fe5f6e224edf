"""What Lighthouse says of pages of the built site on a simulated phone: the median of some runs."""

from __future__ import annotations

import argparse
import functools
import gzip
import http.server
import json
import os
import shutil
import statistics
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LIGHTHOUSE = "lighthouse@12.8.2"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PAGES = ("index.html", "04-linear.html", "07-network.html")
NUMBERS = {
    "FCP s": ("first-contentful-paint", 1000),
    "LCP s": ("largest-contentful-paint", 1000),
    "SI s": ("speed-index", 1000),
    "TBT ms": ("total-blocking-time", 1),
    "CLS": ("cumulative-layout-shift", 1),
}


class Compressed(http.server.SimpleHTTPRequestHandler):
    """Serves as GitHub Pages does: text in gzip, and to be kept for ten minutes."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        kind = self.guess_type(path)
        text = kind.startswith("text/") or kind.endswith(("javascript", "json", "xml"))
        body = gzip.compress(path.read_bytes(), 6) if text else path.read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", f"{kind}; charset=utf-8" if text else kind)
        self.send_header("Cache-Control", "max-age=600")
        if text:
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def audit(url: str, browser: str) -> dict[str, Any]:
    flags = "--headless=new" + " --no-sandbox" * (hasattr(os, "geteuid") and os.geteuid() == 0)
    command = ["npx", "--yes", LIGHTHOUSE, url, "--quiet", "--output=json", f"--chrome-flags={flags}"]
    done = subprocess.run(command, env={**os.environ, "CHROME_PATH": browser}, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{url}: Lighthouse did not run: {(done.stderr or done.stdout).strip()[-300:]}")
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def row(reports: list[dict[str, Any]]) -> list[str]:
    """The medians: the four scores, then the numbers that the first of them is made of."""
    scores = [
        statistics.median(100 * report["categories"][name]["score"] for report in reports)
        for name in ("performance", "accessibility", "best-practices", "seo")
    ]
    numbers = [
        statistics.median(report["audits"][name]["numericValue"] / unit for report in reports)
        for name, unit in NUMBERS.values()
    ]
    return [f"{score:.0f}" for score in scores] + [f"{number:.3g}" for number in numbers]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("pages", nargs="*", default=PAGES, help="files of the site")
    arguments.add_argument("--runs", type=int, default=5)
    arguments.add_argument("--site", type=Path, default=ROOT / "site")
    asked = arguments.parse_args()
    if asked.runs < 1:
        arguments.error(f"--runs is {asked.runs}; expected at least 1")
    for page in asked.pages:
        if not (asked.site / page).is_file():
            arguments.error(f"{asked.site / page} is missing; make site builds it")
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if not browser or not shutil.which("npx"):
        arguments.error(f"npx and one of {', '.join(BROWSERS)} must be installed")
    handler = functools.partial(Compressed, directory=str(asked.site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print("| page | performance | accessibility | best practices | SEO |", *NUMBERS, sep=" | ")
        for page in asked.pages:
            url = f"http://127.0.0.1:{server.server_port}/{page}"
            print(f"| {page} |", " | ".join(row([audit(url, browser) for _ in range(asked.runs)])), "|")
        server.shutdown()


if __name__ == "__main__":
    main()
