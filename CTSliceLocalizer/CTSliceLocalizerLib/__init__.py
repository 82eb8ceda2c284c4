"""Where in the body each slice of a CT lies, and where the same place is in another scan of the patient."""
