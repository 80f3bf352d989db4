"""The parser of replies; ``parser.py`` shows the way of a reply through these modules."""
