"""Commands for a person's work on labels: list what waits, decide it, try labels out."""
