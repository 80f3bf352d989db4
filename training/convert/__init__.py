"""``convert``: published data sets and benchmarks as samples. A format is one module and one line in ``convert.py``."""
