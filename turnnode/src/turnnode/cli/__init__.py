"""The command `turnnode`."""
