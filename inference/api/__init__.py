"""What travels over HTTP, as shapes."""
