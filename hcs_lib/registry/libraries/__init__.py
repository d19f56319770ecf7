"""One small module per library."""
