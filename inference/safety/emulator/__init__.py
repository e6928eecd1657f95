"""Azure AI Content Safety on this machine: its REST contract, judged by rules in a file.

For trying and testing a content filter without Azure, the way Azurite serves storage. What it knows of harm
is the phrases it is given; it is no filter to be served with.
"""
