"""Replies of a teacher, read without evaluating them: final answer, tree, items, roles, predictions."""
