"""Dead-letter messages: read, explain, group by cause, plan, redrive and delete.

    queue ──▶ reading ──▶ reasons ──▶ analysis ──▶ plan ──▶ mover ──▶ queue
                                         proofs      tasks · ledger · history

`queue` is the only use of SQS here, `reading` holds messages while they are read, `reasons`, `verdicts` and `plan` are
pure, `proofs` asks Secrets Manager and WeChat Pay whether a cause is mended, `mover` redrives and deletes, `ledger` is
its file next to the plan, `history` writes the line in the order's item, `tasks` is SQS's own message move task.
"""
