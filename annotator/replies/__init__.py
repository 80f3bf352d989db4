"""What a teacher wrote, read without evaluating it."""
