"""Which functions exist and how they behave."""
