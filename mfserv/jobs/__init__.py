"""Jobs: requests that are answered later: kept safe at once, done when there is room, their results kept."""
