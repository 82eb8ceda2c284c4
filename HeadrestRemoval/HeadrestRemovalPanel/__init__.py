"""The panel of Headrest Removal: ``remove_section`` has its widgets, the other files what its buttons do."""
