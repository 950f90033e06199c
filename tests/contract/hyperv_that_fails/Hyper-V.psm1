# The stand-in Hyper-V module, but some getters of its objects throw, and the management service may not answer.
# FILE.unreadable, beside the world file, has a line for each getter: a cmdlet, a property and a machine's name.
# FILE.unavailable is there while the service does not answer; FILE.stop has the cmdlet during which it stops.
Import-Module -Name "$PSHOME/HyperV.StandIn.dll"

function Get-Lines($Ending) {
    $path = "$env:HYPERV_WORLD.$Ending"
    if ([System.IO.File]::Exists($path)) { [System.IO.File]::ReadAllLines($path) }
}

function Hide-Values($Object, $Cmdlet, $Machine) {
    foreach ($line in @(Get-Lines 'unreadable')) {
        $where, $property, $name = $line -split ' ', 3
        if ($where -eq $Cmdlet -and $name -ceq $Machine) {
            Add-Member -InputObject $Object -MemberType ScriptProperty -Name $property -Value { throw 'The RPC server is unavailable.' } -Force
        }
    }
    $Object
}

# Writes the error and answers false while the service does not answer.
function Test-Service($Caller, $Cmdlet) {
    if (@(Get-Lines 'unavailable').Count) {
        $message = "Hyper-V encountered an error trying to access an object on computer 'HV01' because the object was not found. The object might have been deleted. Verify that the Virtual Machine Management service on the computer is running."
        $id = "ObjectNotFound,Microsoft.HyperV.PowerShell.Commands.$($Cmdlet -replace '-')"
        $Caller.WriteError([System.Management.Automation.ErrorRecord]::new([System.Exception]::new($message), $id, 'ObjectNotFound', $null))
        return $false
    }
    $true
}

function Stop-ServiceDuring($Cmdlet) {
    if (@(Get-Lines 'stop') -contains $Cmdlet) { [System.IO.File]::WriteAllText("$env:HYPERV_WORLD.unavailable", 'x') }
}

function Get-VMHost { [CmdletBinding()] param()
    if (Test-Service $PSCmdlet 'Get-VMHost') { HyperV.StandIn\Get-VMHost } }

function Get-VM { [CmdletBinding()] param([Guid] $Id, [string[]] $Name)
    if (-not (Test-Service $PSCmdlet 'Get-VM')) { return }
    HyperV.StandIn\Get-VM @PSBoundParameters | ForEach-Object { Hide-Values $_ 'Get-VM' $_.PSObject.BaseObject.Name } }

function Get-VMIntegrationService { [CmdletBinding()] param($VM)
    if (-not (Test-Service $PSCmdlet 'Get-VMIntegrationService')) { return }
    $real = $VM.PSObject.BaseObject
    HyperV.StandIn\Get-VMIntegrationService -VM $real | ForEach-Object { Hide-Values $_ 'Get-VMIntegrationService' $real.Name } }

function Switch-Component($Caller, $Cmdlet, $Component, $Passthru) {
    if (-not (Test-Service $Caller $Cmdlet)) { return }
    $real = $Component.PSObject.BaseObject
    $passed = & "HyperV.StandIn\$Cmdlet" -VMIntegrationService $real -Passthru
    Stop-ServiceDuring $Cmdlet
    if ((Test-Service $Caller $Cmdlet) -and $Passthru) { Hide-Values $passed $Cmdlet $passed.VMName }
}

function Enable-VMIntegrationService { [CmdletBinding()] param($VMIntegrationService, [switch] $Passthru)
    Switch-Component $PSCmdlet 'Enable-VMIntegrationService' $VMIntegrationService $Passthru }

function Disable-VMIntegrationService { [CmdletBinding()] param($VMIntegrationService, [switch] $Passthru)
    Switch-Component $PSCmdlet 'Disable-VMIntegrationService' $VMIntegrationService $Passthru }

Export-ModuleMember -Function *-VM*
