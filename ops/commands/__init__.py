"""The commands of `bin/ops`, one module for each noun.

To add a command:

1. Write the work in a module of `ops/` as functions that take a `Deployment` and values, and return values or yield
   them. AWS is reached through `deployment.client(service)` only. An error is an `OpsError` of one line: the cause,
   then the remedy. Errors of AWS may pass: `ops/__main__.py` prints them with a remedy (`ops/failures.py`).
2. Write the command in `ops/commands/{noun}.py`, a function `(Deployment, argparse.Namespace) -> Output`. It prints
   nothing. It returns a value of `ops/output.py`:
   - `Report(lines, document, status)`: a whole result; `lines` for people (text, or `Table`), `document` for `--json`;
   - `Stream(columns, steps)`: a generator that yields `Row(cells, document, note)` as results arrive, `Progress(words,
     number, total)` as often as it likes, and `Report` for a summary. With `--json` each row, and each summary with a
     document, is one line. The generator is closed when the command is interrupted or its reader ends: release in
     `finally` what it holds.
   Text from outside goes into these values as it is; the printer makes it harmless.
   The exit status is `Exit.DONE`, or `Exit.ACTION` if the operator must act on what is reported. A command that fails
   raises `OpsError` (`Exit.FAILED`); a wrong combination of arguments raises `UsageError` (`Exit.USAGE`).
3. Register it in the function `register(nouns)` of that module:

       noun = nouns.noun("dead-letters", "list, explain and redrive dead-letter messages")
       show = noun.command("show", _show, "show one message with its body")   # an argparse.ArgumentParser
       show.add_argument("message_id", help="as `dead-letters list` prints it")

   `ops/commands/arguments.py` has arguments that several commands share: an order, a duration (`30m`, `2d`), a count,
   and `program(options)`, with which a command that is printed begins, so that it names the same stack.
   A command without a verb (`find`, `doctor`) is `nouns.command("find", _find, "find an event")`.
   `--profile`, `--region`, `--stack`, `--endpoint-url`, `--sandbox`, `--json` and the names of resources are options of
   every command, before and after the noun. Do not define these again.
4. Add the module to `MODULES` below, if it is new. Its nouns are in the help in this order.
5. Test it in tests/ops: its output for people, its `--json`, its exit statuses, and each of its errors.
"""

from ops.commands import dead_letters, doctor, event, find, keys, merchant, order, outcome, undelivered

MODULES = (order, dead_letters, undelivered, outcome, find, event, keys, merchant, doctor)
"""The modules with `register`, in the order of the help."""
