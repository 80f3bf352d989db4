"""Downstream of the dataset: other data sets converted, students fine-tuned, benchmarks predicted and scored."""
