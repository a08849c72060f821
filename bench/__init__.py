"""Figures: what things cost, measured side by side or estimated."""
