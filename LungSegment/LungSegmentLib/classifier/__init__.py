"""From labelled scans to "finding yes or no": the command ``ct-classify``."""
