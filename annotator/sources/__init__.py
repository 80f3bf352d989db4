"""Read documents: locate files, read their records, draw a sample, screen it."""
