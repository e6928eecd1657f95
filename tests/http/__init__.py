"""The endpoint as its clients see it: the real client packages against a real server process."""
