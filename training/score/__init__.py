"""How well answers agree with the gold: lenient reading, three named matchings, intervals and paired tests."""
