"""What the modules of the extension share: CT volumes, reading, resampling, pictures, networks, batches."""
