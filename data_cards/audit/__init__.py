"""The audit: figures, structural checks and leaks of a dataset.

``dataset`` finds the dataset, ``reading`` reads it into the ``database``, and ``compute`` collects ``audit.json`` from
``samples`` (passages too), ``mentions`` (and types), ``alike`` (types that may be one), ``leaks`` (passages in two
splits), ``logs`` (rejected records, merged labels), ``agreement`` (two teachers), ``changelog`` and ``problems``
(structural checks). ``comparing`` compares two audits.
"""
