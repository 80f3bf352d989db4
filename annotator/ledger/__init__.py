"""The ledger stores every paid answer for ever, by the content of its question.

One SQLite file in the run directory (``Ledger``), or a PostgreSQL database that several run directories may share
(``annotator.cluster.postgres``). Both hold the same rows and can do the same, see ``Answers``.
"""

from annotator.ledger.rows import Answers, Attempt, Failure, canonical, request_key
from annotator.ledger.sqlite import Ledger

__all__ = ["Answers", "Attempt", "Failure", "Ledger", "canonical", "request_key"]
