"""An emulator of Azure AI Content Safety on this machine: its REST contract, with findings by rules.

For development and tests of a content filter without Azure, as Azurite is for storage. It finds only the
phrases of its rules, and is no filter for production.
"""
