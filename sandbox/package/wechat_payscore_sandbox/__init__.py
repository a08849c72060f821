"""The sandbox as an installed program. `program` holds it as a clone has it, and is on no other program's path."""
