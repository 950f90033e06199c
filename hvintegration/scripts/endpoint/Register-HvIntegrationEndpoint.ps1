#requires -Version 5.1 -RunAsAdministrator
<#
.SYNOPSIS
Registers the restricted PowerShell endpoint HvIntegration on this Hyper-V host, or registers it anew.

.DESCRIPTION
Copies the module HvIntegration, which lies beside this script, to where PowerShell looks for modules, writes the
session configuration HvIntegration.pssc into it and registers that. WinRM restarts, which ends all remote sessions:
run this on the host itself, not over remoting.

Whoever connects acts as a virtual account that exists for that session only and is a member of the host's Hyper-V
Administrators (S-1-5-32-578), and of no other group that is named here.

.PARAMETER Readers
Groups or users, by name or SID, who may look: the role HvIntegrationReader.

.PARAMETER Operators
Groups or users, by name or SID, who may also switch integration services: the role HvIntegrationOperator.

.PARAMETER GuestOperators
Groups or users, by name or SID, who may reach into Windows guests with a credential of the guest: the role
HvIntegrationGuestOperator. Who is named for several roles has all of them.

.PARAMETER TranscriptDirectory
An existing folder into which PowerShell writes what each session does. Not written if it is not given.

.PARAMETER AsAdministrator
Makes the virtual account a local administrator instead of a Hyper-V administrator. Only for hosts on which the latter
turns out not to be enough.

.EXAMPLE
.\Register-HvIntegrationEndpoint.ps1 -Readers 'CORP\Hyper-V Readers' -Operators 'CORP\Hyper-V Operators'

.EXAMPLE
.\Register-HvIntegrationEndpoint.ps1 -Operators 'CORP\Hyper-V Operators' -GuestOperators 'CORP\Hyper-V Operators'

.EXAMPLE
.\Register-HvIntegrationEndpoint.ps1 -Operators 'S-1-5-21-1004336348-1177238915-682003330-1604'
#>
[CmdletBinding()]
param(
    [string[]] $Readers = @(),
    [string[]] $Operators = @(),
    [string[]] $GuestOperators = @(),
    [string] $TranscriptDirectory = '',
    [switch] $AsAdministrator
)

Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

function ConvertTo-AccountName([string] $Account) {
    if ($Account -like 'S-1-*') { $sid = [System.Security.Principal.SecurityIdentifier] $Account }
    else { $sid = ([System.Security.Principal.NTAccount] $Account).Translate([System.Security.Principal.SecurityIdentifier]) }
    $sid.Translate([System.Security.Principal.NTAccount]).Value
}

# Everything is found out before anything is changed.
$groups = @(
    @{ Accounts = $Readers; Role = 'HvIntegrationReader' }
    @{ Accounts = $Operators; Role = 'HvIntegrationOperator' }
    @{ Accounts = $GuestOperators; Role = 'HvIntegrationGuestOperator' }
)
$roles = @{}
foreach ($group in $groups) {
    foreach ($account in $group.Accounts) {
        $name = ConvertTo-AccountName $account
        $others = @(if ($roles.ContainsKey($name)) { $roles[$name].RoleCapabilities })
        $roles[$name] = @{ RoleCapabilities = @($others + $group.Role | Select-Object -Unique) }
    }
}
if ($roles.Count -eq 0) { throw 'Name those who may connect, with -Readers, -Operators or -GuestOperators.' }
foreach ($name in $roles.Keys) {
    # These would have to be quoted in the session configuration. PowerShell takes all of them for single quotes.
    if ($name -match '[\u0027\u2018-\u201b\r\n]') { throw "A name with a quote or a line break cannot be used: $name. Use a group without." }
}

$module = Join-Path $env:ProgramFiles 'WindowsPowerShell\Modules\HvIntegration'
$session = @{
    Path                = Join-Path $module 'HvIntegration.pssc'
    SessionType         = 'RestrictedRemoteServer'
    RunAsVirtualAccount = $true
    RoleDefinitions     = $roles
}
if (-not $AsAdministrator) { $session.RunAsVirtualAccountGroups = (ConvertTo-AccountName 'S-1-5-32-578').Split('\')[-1] }
if ($TranscriptDirectory) { $session.TranscriptDirectory = $TranscriptDirectory }

Copy-Item -LiteralPath (Join-Path $PSScriptRoot 'HvIntegration') -Destination (Split-Path -Parent $module) -Recurse -Force
New-PSSessionConfigurationFile @session
if (Get-PSSessionConfiguration -Name HvIntegration -ErrorAction SilentlyContinue) {
    Unregister-PSSessionConfiguration -Name HvIntegration -Force -NoServiceRestart
}
Register-PSSessionConfiguration -Name HvIntegration -Path $session.Path -Force | Out-Null
"The endpoint HvIntegration is registered for: $(($roles.Keys | Sort-Object) -join ', ')"
