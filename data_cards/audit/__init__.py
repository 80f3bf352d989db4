"""The audit: figures, structural checks and leaks of a dataset.

``compute`` makes ``audit.json`` of the figures that the other modules return: ``passages``, ``samples``, ``labels``
(frequent types), ``alike`` (types that may be one), ``merges`` (raw labels that became a type), ``mentions``, ``leaks``
(passages in two splits, by ``ngrams``), ``rejections``, ``agreement`` (two teachers), ``problems`` (structural checks).
``dataset`` finds what is audited, ``reading`` makes columns of it, ``database`` joins them, ``comparing`` two audits.
"""
