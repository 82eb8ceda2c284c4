"""What the panels of the modules share."""
