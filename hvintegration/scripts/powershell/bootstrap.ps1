# Reads a script, a document and its secrets on the last lines but two and one, and '#end'. Writes what the script writes,
# in ASCII, between marks.
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$direct = $ExecutionContext.SessionState.LanguageMode -eq 'FullLanguage'
try {
    $process = if ($direct) { [System.Diagnostics.Process]::GetCurrentProcess() }
    else { Microsoft.PowerShell.Management\Get-Process -Id $PID }
    $started = [string] $process.StartTime.ToUniversalTime().Ticks
}
catch { $started = '' }
$ready = "<hvintegration process=$PID started=$started>"
if ($direct) { [System.Console]::Out.WriteLine($ready) } else { $ready }

$lines = @($input)
if (-not $lines.Count) { $lines = @([System.Console]::In.ReadToEnd() -split '\r?\n' -ne '') }
if ($lines.Count -lt 4 -or $lines[-1] -cne '#end') { return }
$arguments = @{ Document = [string] $lines[-3] }
$kind = 'answer'
try {
    $secrets = Microsoft.PowerShell.Utility\ConvertFrom-Json -InputObject $lines[-2]
    foreach ($secret in $secrets.PSObject.Properties) {
        $user = $secret.Value.username.Substring(1)
        $word = $secret.Value.password.Substring(1)
        $word = if ($direct) { (Microsoft.PowerShell.Utility\New-Object System.Net.NetworkCredential('', $word)).SecurePassword }
        else { Microsoft.PowerShell.Security\ConvertTo-SecureString -String $word -AsPlainText -Force }
        $arguments[$secret.Name] = Microsoft.PowerShell.Utility\New-Object System.Management.Automation.PSCredential($user, $word)
    }
    $function:hvintegration_call = $lines[0..($lines.Count - 4)] -join "`n"
    $text = @(hvintegration_call @arguments) -join ''
}
catch {
    $kind = 'error'
    $text = Microsoft.PowerShell.Utility\ConvertTo-Json -Compress -InputObject @{
        id       = [string] $_.FullyQualifiedErrorId
        category = [string] $_.CategoryInfo.Category
        message  = [string] $_.Exception.Message
    }
}
$text = $text.Replace('<', '\u003c')
$rest = $text -creplace '[\x00-\x7f]+', ''
while ($rest) {
    $character = [string] $rest[0]
    $rest = $rest.Replace($character, '')
    $text = $text.Replace($character, '\u{0:x4}' -f [int] $character[0])
}
"<hvintegration $kind>"
$text -creplace '.{1,16000}', "`$0`n"
'<hvintegration end>'
