"""Finds headrest, table and other equipment in a CT and takes them out of it."""
