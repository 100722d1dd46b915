"""The processes of apps: a worker on its socket, how it comes into the router and leaves it."""
