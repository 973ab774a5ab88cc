"""Profile updates journaled on the device, and shipped in order when the network is there."""
