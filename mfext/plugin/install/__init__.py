"""Installing, upgrading, rolling back and repairing plugins, whatever is killed when."""
