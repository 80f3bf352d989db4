"""The audit: figures, structural checks and leaks of a dataset."""
