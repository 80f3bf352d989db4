"""The Ray engine and the PostgreSQL ledger."""
