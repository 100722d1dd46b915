"""Files, layers, secrets and reference pages of what sections declare."""
