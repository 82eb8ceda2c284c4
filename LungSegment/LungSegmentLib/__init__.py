"""Left and right lung of a chest CT, how large and dense they are, and whether to trust that."""
