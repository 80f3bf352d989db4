"""Completions to annotations: replies are parsed, labels normalised, mentions found in their passages."""
