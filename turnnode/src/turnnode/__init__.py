"""A TURN server for the calls of Delta Chat, in userspace, with a seam for a kernel data path."""
