"""What the user asked for: settings, steps, patterns, messages with line numbers."""
