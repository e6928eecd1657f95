"""May this pass? Policy and verdict, who judges (Azure, a classifier on this machine, lists of phrases), and
the stages that hold texts back until they are judged. Knows nothing of HTTP routes, files or tokens."""
