"""Files of a run: the run directory, Parquet tables, rejected records and the funnel."""
