"""What answers HTTP in a worker, one file a kind."""
