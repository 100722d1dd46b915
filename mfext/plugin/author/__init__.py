"""What authors of plugins use: templates, checks, development in place."""
