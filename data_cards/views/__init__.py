"""What a person sees of a run: in the terminal, in a notebook, and marked in HTML."""
