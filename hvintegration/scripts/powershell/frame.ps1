param([string] $Document#SECRETS)

Microsoft.PowerShell.Core\Set-StrictMode -Off
$ErrorActionPreference = 'Stop'
$WarningPreference = 'SilentlyContinue'
$VerbosePreference = 'SilentlyContinue'
$DebugPreference = 'SilentlyContinue'
$InformationPreference = 'SilentlyContinue'
$ProgressPreference = 'SilentlyContinue'
$ConfirmPreference = 'None'
$WhatIfPreference = $false
$PSDefaultParameterValues['Disabled'] = $true

$result = $null
$failures = @()

function ConvertTo-Failure($Record, $Target) {
    @{
        id            = [string] $Record.FullyQualifiedErrorId
        category      = [string] $Record.CategoryInfo.Category
        message       = [string] $Record.Exception.Message
        target        = if ($null -eq $Target) { $null } else { [string] $Target }
        target_object = if ($null -eq $Record.TargetObject) { $null } else { [string] $Record.TargetObject }
    }
}

# A property of a live object whose getter throws is $null, without an error. So each is read once, and $null stays $null.
function ConvertTo-Texts($Record) {
    foreach ($key in @($Record.Keys)) { if ($null -ne $Record[$key]) { $Record[$key] = [string] $Record[$key] } }
    $Record
}

function ConvertTo-ServiceRecord($Component) {
    $enabled = $Component.Enabled
    $record = ConvertTo-Texts @{
        id = $Component.Id
        name           = $Component.Name
        primary        = $Component.PrimaryOperationalStatus
        primary_text   = $Component.PrimaryStatusDescription
        secondary      = $Component.SecondaryOperationalStatus
        secondary_text = $Component.SecondaryStatusDescription
    }
    $record.enabled = if ($null -eq $enabled) { $null } else { [bool] $enabled }
    $record
}

try {
    $request = Microsoft.PowerShell.Utility\ConvertFrom-Json -InputObject $Document
    #BODY
}
catch {
    $result = $null
    $failures += ConvertTo-Failure $_ $null
}

Microsoft.PowerShell.Utility\ConvertTo-Json -InputObject @{ schema = 1; result = $result; errors = $failures } -Depth 10 -Compress
