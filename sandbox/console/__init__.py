"""The sandbox's web console: pages on loopback that show the way of an event and act on it.

    server ──▶ app ──▶ gate ──▶ visit ──▶ pages/ ──▶ desk ──▶ testbed
                                  templates · texts     bulletin ──▶ stream (SSE)

To add a page: a module of `pages/` with a `PAGE` (views by GET, actions by POST), its line in `pages.PAGES`, a template
`templates/{name}.html` that extends base.html, and its texts `texts/{language}/{name}.toml` in every language. A form
has `{{ action("/path/of/action") }}` and `{{ csrf() }}` of macros.html; an action returns `visit.done(…)`, and what it
raises is shown as one line. A part that is live has `{{ live("/path/of/part", ["orders", "calls"]) }}`, topics of
`bulletin`. Every button in a live part has an id, so that the focus stays on it, and every
input an id and hx-preserve, so that what a person has typed stays.
"""
