"""Tables: CSV, Parquet and Excel, read strictly."""
