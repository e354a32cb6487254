"""The command `mailnode`."""
