"""What a person does with labels: see what the rules left open, decide it, and try labels out."""
