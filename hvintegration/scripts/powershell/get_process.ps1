# {} -> {process_id, started}: the process that runs this, for stop_process to end it
$process = if ($ExecutionContext.SessionState.LanguageMode -eq 'FullLanguage') { [System.Diagnostics.Process]::GetCurrentProcess() }
else { Microsoft.PowerShell.Management\Get-Process -Id $PID }
$result = @{ process_id = [int] $PID; started = [string] $process.StartTime.ToUniversalTime().Ticks }
