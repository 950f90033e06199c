# {process_id, started} -> {gone}: true if that PowerShell does not run any more. Another process of its id is left alone.
$direct = $ExecutionContext.SessionState.LanguageMode -eq 'FullLanguage'
$process = $null
try {
    $process = if ($direct) { [System.Diagnostics.Process]::GetProcessById($request.process_id) }
    else { Microsoft.PowerShell.Management\Get-Process -Id $request.process_id }
}
catch {
    if ($_.FullyQualifiedErrorId -notlike 'ArgumentException*' -and $_.FullyQualifiedErrorId -notlike 'NoProcessFound*') { throw }
}
$gone = $true
if ($process -and @('powershell', 'pwsh', 'wsmprovhost') -contains $process.ProcessName) {
    # Not on every system is the time of the start the same to the tick for everybody who asks.
    $difference = $process.StartTime.ToUniversalTime().Ticks - [long] $request.started
    if ($difference -gt -20000000 -and $difference -lt 20000000) {
        if ($direct) {
            $process.Kill()
            $gone = $process.WaitForExit(3000)
        }
        else {
            Microsoft.PowerShell.Management\Stop-Process -Id $request.process_id -Force
            Microsoft.PowerShell.Management\Wait-Process -Id $request.process_id -Timeout 3 -ErrorAction SilentlyContinue
            $gone = -not (Microsoft.PowerShell.Management\Get-Process -Id $request.process_id -ErrorAction SilentlyContinue)
        }
    }
}
$result = @{ gone = [bool] $gone }
