"""The ledger stores every paid answer for ever, by the content of its question.

One SQLite file in the run directory (``SqliteLedger``), or a PostgreSQL database that several run directories may share
(``annotator.cluster.postgres``). Both hold the same rows and can do the same, see ``Ledger``.
"""

from annotator.ledger.keys import canonical, request_key
from annotator.ledger.rows import Attempt, Failure, Ledger
from annotator.ledger.sqlite import SqliteLedger

__all__ = ["Attempt", "Failure", "Ledger", "SqliteLedger", "canonical", "request_key"]
