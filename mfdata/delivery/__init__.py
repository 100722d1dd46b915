"""How a file changes hands, once per destination, whatever dies when."""
