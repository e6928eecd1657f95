"""`make exports`: real exporters on random checkpoints of several architectures, against their own
references.

Not part of the test suite: it makes environments with torch, some GB, and takes minutes.
"""
