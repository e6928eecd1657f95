"""Images of requests: fetched from allowed hosts, bounded, and decoded to RGB arrays."""
