"""Duplicates: near-duplicate documents, passages seen before, passages of a benchmark."""
