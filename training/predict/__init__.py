"""Answer the queries of a benchmark with a student, a model behind an endpoint, or a tagger to compare with."""
