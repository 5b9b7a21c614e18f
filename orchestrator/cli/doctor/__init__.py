"""`ablate doctor`: the machine, and everything that the settings name, each really reached."""
