"""Compare the predicted entities of two teachers, and decide which of them stay."""
