"""Metrics: what a module counts and measures, kept without a cost, and shown to Prometheus in one place."""
