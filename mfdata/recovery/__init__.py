"""What dead or stuck workers left, and what is looked after once a second."""
