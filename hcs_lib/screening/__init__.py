"""From objects to wells: derived features, tables, failures, the verdict."""
