"""``convert``: published data sets and benchmarks as samples. A format is a function and a line in ``convert.py``."""
