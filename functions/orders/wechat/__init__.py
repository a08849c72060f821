"""Where WeChat Pay's vocabulary and the function's meet, and nowhere else. Pure.

`requests` writes a payment as the library's arguments, `replies` turns what came back into the values of `dialogue`:
a verified order by `verdicts`, a refusal by `refusals`.
"""
