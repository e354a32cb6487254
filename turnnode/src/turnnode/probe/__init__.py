"""A test call through a TURN node, as two apps would make it: audio and data, measured."""
