"""`python -m sandbox chaos`: the deployed template under load with every fault on; then repaired, redriven, audited.

The seed decides what is sent, which call meets which fault, and which request to AWS fails. Calls interleave as the
machine has it, so two runs agree in what must hold, not in every line.
"""
