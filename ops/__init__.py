"""The operator's commands, `bin/ops`; not deployed. They read events and items with the function's own code."""
