"""Files that nobody could process, with the reason, and how long they are kept."""
