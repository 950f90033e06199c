"""PowerShell on a remote host, through SSH."""
