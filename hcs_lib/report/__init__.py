"""Pictures and pages: what a screener opens first. It reads the tables of plates and their stores, nothing else."""
