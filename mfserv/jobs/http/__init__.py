"""What clients of jobs see: the gateway, submissions, pages, OGC API - Processes."""
