"""Score answers against the gold: lenient parsing, three matchings, intervals and paired tests."""
