"""Figures: what things cost, measured side by side or estimated."""

import ops as _ops  # noqa: F401  puts function and layer on the path, as Lambda does
