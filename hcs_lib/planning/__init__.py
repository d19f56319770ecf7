"""What a run of the workflow would do, and why, before it is run."""
