"""Ray clusters: the engine, shared requests and the PostgreSQL ledger."""
