"""The panel of Lung Segment: widgets, and what their buttons do with the scene."""
