"""A plugin as it is installed: manifest, configuration, requirements, and what of it runs."""
