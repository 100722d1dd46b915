"""Services that are upgraded, rolled back, killed and surrounded by broken ones while requests come."""
