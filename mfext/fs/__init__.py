"""The file system: how a file or a link changes in one instant, and how names and contents get to the disk."""
