"""Memory types and conversion between them."""
