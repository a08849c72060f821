"""The timeline of one order or event: event, rule, receives, calls, item, dead letter, and what is missing.

`reader` reads the facts; everything else is pure.
"""

from sandbox.timeline.composition import Timeline, compose
from sandbox.timeline.facts import Facts
from sandbox.timeline.moment import Level, Moment
from sandbox.timeline.trail import Subject

__all__ = ["Facts", "Level", "Moment", "Subject", "Timeline", "compose"]
