"""Authentication: API keys and Microsoft Entra tokens of callers."""
