"""Describe a dataset: audit, review, report, card, publication, terminal views."""
