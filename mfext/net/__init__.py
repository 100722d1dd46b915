"""The network: sockets that are reached by a path, and what all who speak HTTP share."""
