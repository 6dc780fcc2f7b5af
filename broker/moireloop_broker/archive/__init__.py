"""The older part of an event log: Parquet files in the campaign's folder (pure)."""
