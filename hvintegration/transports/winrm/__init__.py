"""PowerShell on a remote host, over WinRM."""
