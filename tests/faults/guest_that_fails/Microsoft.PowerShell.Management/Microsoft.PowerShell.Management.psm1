# The stand-in module, but services can hang, die, fail and take their time. FILE.faults, beside the world file, has a line
# for each fault, which strikes once: a cmdlet, and what it does. FILE.pending is how often a service is still to be seen
# on its way. FILE.called gets a line for each cmdlet that changes something.
Import-Module -Name "$PSHOME/Services.StandIn.dll"

function Get-Fault($Cmdlet) {
    $path = "$env:HYPERV_WORLD.faults"
    if (-not [System.IO.File]::Exists($path)) { return '' }
    $lines = @([System.IO.File]::ReadAllLines($path))
    for ($index = 0; $index -lt $lines.Count; $index++) {
        $name, $fault = $lines[$index] -split ' ', 2
        if ($name -eq $Cmdlet) {
            $left = @(for ($other = 0; $other -lt $lines.Count; $other++) { if ($other -ne $index) { $lines[$other] } })
            [System.IO.File]::WriteAllLines($path, [string[]] $left)
            return $fault
        }
    }
    ''
}

function New-Failure($Message, $Id, $Category, $Target) {
    [System.Management.Automation.ErrorRecord]::new([System.InvalidOperationException]::new($Message), $Id, $Category, $Target)
}

function Invoke-Change($Caller, $Cmdlet, $Bound) {
    [System.IO.File]::AppendAllText("$env:HYPERV_WORLD.called", "$Cmdlet $($Bound.Name)`n")
    $fault, $argument = (Get-Fault $Cmdlet) -split ' ', 2
    if ($fault -eq 'hang') { [System.Threading.Thread]::Sleep(600000) }
    if ($fault -eq 'exit') { [System.Environment]::Exit(3) }
    if ($fault -eq 'denied') {
        $Caller.ThrowTerminatingError((New-Failure "Cannot open $($Bound.Name) service on computer '.'." "CouldNot$($Cmdlet -replace '-')" 'PermissionDenied' $Bound.Name))
    }
    & "Services.StandIn\$Cmdlet" @Bound
    if ($fault -eq 'pending') { [System.IO.File]::WriteAllText("$env:HYPERV_WORLD.pending", "$($Bound.Name) $argument") }
    if ($fault -eq 'done-hang') { [System.Threading.Thread]::Sleep(600000) }
    if ($fault -eq 'done-exit') { [System.Environment]::Exit(3) }
}

function Start-Service { [CmdletBinding()] param([string] $Name) Invoke-Change $PSCmdlet 'Start-Service' $PSBoundParameters }
function Stop-Service { [CmdletBinding()] param([string] $Name) Invoke-Change $PSCmdlet 'Stop-Service' $PSBoundParameters }
function Set-Service { [CmdletBinding()] param([string] $Name, [string] $StartupType) Invoke-Change $PSCmdlet 'Set-Service' $PSBoundParameters }

function Get-Service { [CmdletBinding()] param([string] $Name)
    $fault = Get-Fault 'Get-Service'
    if ($fault -eq 'hang') { [System.Threading.Thread]::Sleep(600000) }
    if ($fault -eq 'exit') { [System.Environment]::Exit(3) }
    if ($fault -eq 'denied') {
        $PSCmdlet.ThrowTerminatingError((New-Failure "Cannot open Service Control Manager on computer '.'." 'System.InvalidOperationException' 'NotSpecified' $null))
    }
    $pending = "$env:HYPERV_WORLD.pending"
    $slow, $looks = if ([System.IO.File]::Exists($pending)) { [System.IO.File]::ReadAllText($pending) -split ' ' } else { '', '0' }
    $looks = [int] $looks
    if ($looks) { [System.IO.File]::WriteAllText($pending, "$slow $($looks - 1)") }
    foreach ($service in (Services.StandIn\Get-Service -Name $Name)) {
        $known = [string] $service.Name
        if ($fault -eq 'partial' -and $known -eq 'vmicvss') {
            $PSCmdlet.WriteError((New-Failure "Service '$known' cannot be queried." 'CouldNotGetServiceInfo' 'PermissionDenied' $known))
            continue
        }
        if ($fault -eq 'nameless' -and $known -eq 'vmicvss') {
            [pscustomobject] @{ Name = $null; DisplayName = $service.DisplayName; Status = $service.Status; StartType = $service.StartType }
            continue
        }
        if ($looks -and $known -eq $slow) {
            Add-Member -InputObject $service -MemberType NoteProperty -Name Status -Value 'StartPending' -Force
        }
        $service
    }
}

function Get-ItemProperty { [CmdletBinding()] param([string] $LiteralPath)
    Services.StandIn\Get-ItemProperty @PSBoundParameters
}

Export-ModuleMember -Function *-Service, Get-ItemProperty
