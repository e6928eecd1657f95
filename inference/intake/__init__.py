"""From files somewhere to a deployment that serves."""
