"""What a run of the workflow would do, and why; and how far one is."""
