"""Show a run in the terminal, in a notebook and in HTML."""
