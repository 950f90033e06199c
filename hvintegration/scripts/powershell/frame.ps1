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
        id       = [string] $Record.FullyQualifiedErrorId
        category = [string] $Record.CategoryInfo.Category
        message  = [string] $Record.Exception.Message
        target   = if ($null -eq $Target) { $null } else { [string] $Target }
    }
}

function ConvertTo-ServiceRecord($Component) {
    @{
        id             = [string] $Component.Id
        name           = [string] $Component.Name
        enabled        = [bool] $Component.Enabled
        primary        = if ($null -eq $Component.PrimaryOperationalStatus) { $null } else { [string] $Component.PrimaryOperationalStatus }
        primary_text   = if ($null -eq $Component.PrimaryStatusDescription) { $null } else { [string] $Component.PrimaryStatusDescription }
        secondary      = if ($null -eq $Component.SecondaryOperationalStatus) { $null } else { [string] $Component.SecondaryOperationalStatus }
        secondary_text = if ($null -eq $Component.SecondaryStatusDescription) { $null } else { [string] $Component.SecondaryStatusDescription }
    }
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
