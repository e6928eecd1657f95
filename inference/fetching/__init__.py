"""Fetches pictures for requests that give their URLs: from the operator's list of hosts, and nothing private."""
