"""The panel of CTSliceLocalizer: a file for each section of the column, and what the buttons do to the scene."""
