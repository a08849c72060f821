"""How far the function goes and what stops it: Little's law, and a small simulation that must agree with it.

`python -m bench.scaling` prints the tables of docs/operate/scaling.md; its flags are the fields of `Service`. With
`--write` it puts them into the page. Nothing is measured and nothing waits: time is a number. The queue and Lambda's
pollers are models: a free environment takes at once what is visible, ten messages at most, and Lambda's own scaling up
is left out.
"""
