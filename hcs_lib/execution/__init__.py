"""Context in, outputs and receipts out."""
