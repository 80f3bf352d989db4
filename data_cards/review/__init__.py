"""Let people check predicted entities in a browser, and estimate precision and recall from what they decided.

``server`` and ``page/`` show what ``session`` chooses and store what ``answers`` understands.
``predictions`` draws the sample; ``precision`` and ``quality`` estimate from it with ``data_cards.estimates``.
"""
