"""htmx, which the console ships as the file that npm has: where it is from, and its hash.

To take another version: `npm pack htmx.org@VERSION`, copy package/dist/htmx.min.js, and change the three lines.
"""

from pathlib import Path

PACKAGE = "htmx.org@2.0.11"  # Zero-Clause BSD; the newest 2.x: 4.0 is of September 2026
FILE = Path(__file__).with_name("static") / "htmx.min.js"  # dist/htmx.min.js of the package, unchanged
SHA256 = "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717"
