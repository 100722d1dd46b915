"""From a plugin's folder to an archive."""
