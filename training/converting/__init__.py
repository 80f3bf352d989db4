"""Other data sets as samples of the contract: what a student learns from, and the benchmarks it is asked about."""
