"""Take a dataset to other tools and bring back what people corrected there: one module a format, plain functions."""
