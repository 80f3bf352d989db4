"""Let people check predicted entities in a browser, and estimate precision and recall from what they decided.

``server`` and ``page/`` show what ``session`` chooses; ``answers`` converts the answers to decisions.
``predictions`` draws the sample; ``precision`` and ``quality`` estimate from it with ``data_cards.estimates``.
"""
