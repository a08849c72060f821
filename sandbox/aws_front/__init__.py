"""What stands before MiniStack in the process of the embedded AWS: the journal, and what MiniStack lacks.

It runs in MiniStack's environment, so it imports the standard library and MiniStack alone.
"""
