"""What everything else stands on: errors, canonical JSON, atomic files, units, addresses, declarations."""
