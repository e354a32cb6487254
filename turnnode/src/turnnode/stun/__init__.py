"""STUN messages and ChannelData as bytes, without any I/O."""
