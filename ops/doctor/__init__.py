"""Examine a deployed stack: what really runs, what it may do, what waits, and whether its alarms can fire.

Each module checks one part. A check yields findings; its judgements are functions of AWS's answers.
"""
