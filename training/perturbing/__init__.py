"""Benchmarks as people really type: without marks, in lower case, with slips and abbreviations. Gold follows."""
