"""Fetches pictures for requests that give their URLs: hosts of the operator's list only, nothing private."""
