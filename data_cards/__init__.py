"""What a dataset says of itself: audit, card, and what a person sees of a run."""
