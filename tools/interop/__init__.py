"""Interoperability: other WeChat Pay clients, unchanged but for proxy, authority and keys, against the simulator.

__main__      `make interop`: installs the clients, runs each in both key modes, prints one table
installation  PyPI and npm, pinned with hashes
course        one client in one mode: the simulator, its environment and its results
notifications what is sent to a client: a true notification, three forgeries, one that was recorded before
table         the results as a table, and what differs from what is expected
clients/      a small program for each client; course.py and course.cjs have the steps
"""
