"""What the repository's maintainers run; nothing here is deployed."""
