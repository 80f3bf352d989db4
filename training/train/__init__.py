"""``train`` and ``experiment``: recipes, data, training in stages, merging, tables and figures of the thesis."""
