"""Our own image functions."""
