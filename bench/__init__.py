"""Figures: what things cost, measured or reckoned side by side."""

import ops as _ops  # noqa: F401  puts function and layer on the path, as Lambda does
