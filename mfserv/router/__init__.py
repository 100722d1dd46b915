"""The router: its table, clients, limits and configuration, and the process that keeps HAProxy."""
