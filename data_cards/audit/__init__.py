"""The audit: figures, structural checks and leaks of a dataset.

``compute`` makes ``audit.json`` of the figures that the other modules return: ``samples`` (passages too), ``mentions``
(and types), ``alike`` (types that may be one), ``leaks`` (passages in two splits), ``logs`` (rejected records, merged
labels), ``agreement`` (two teachers), ``changelog``, ``problems`` (structural checks). ``dataset`` finds what is
audited, ``reading`` reads it into the ``database``, ``comparing`` compares two audits.
"""
