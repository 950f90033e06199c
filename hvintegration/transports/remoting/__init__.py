"""PowerShell remoting over anything that carries it, and one call to an interpreter without it."""
