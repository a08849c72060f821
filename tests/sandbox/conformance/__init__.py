"""Row by row what WeChat Pay's pages say and what the simulator does, and a test of each row.

The page is docs/evidence/conformance.md. To add a section, write a module that fills a `Section`, enter it in
`sections.SECTIONS`, and run `python -m tests.sandbox.conformance`, which writes the tables of the page.
"""
