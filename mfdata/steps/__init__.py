"""Ready-made steps: what the templates make plugins of."""
