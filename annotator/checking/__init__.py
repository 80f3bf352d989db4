"""Compare the predicted entities of two teachers, and decide what becomes of their differences."""
