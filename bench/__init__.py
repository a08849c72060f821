"""Figures: what things cost, measured or reckoned side by side."""
