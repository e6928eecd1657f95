"""What others run on the same weights: programs of an environment of their own, asked over their pipes."""
