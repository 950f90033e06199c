"""PowerShell on this machine."""
