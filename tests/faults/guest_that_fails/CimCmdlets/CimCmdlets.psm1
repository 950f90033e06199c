# The stand-in module, but while FILE.nocim is beside the world file, nothing is answered.
Import-Module -Name "$PSHOME/Cim.StandIn.dll"

function Get-CimInstance { [CmdletBinding()] param([string] $ClassName, [string] $Filter)
    if ([System.IO.File]::Exists("$env:HYPERV_WORLD.nocim")) {
        $failure = [System.Exception]::new('Access denied ')
        $PSCmdlet.ThrowTerminatingError([System.Management.Automation.ErrorRecord]::new($failure, 'HRESULT 0x80041003', 'PermissionDenied', $ClassName))
    }
    Cim.StandIn\Get-CimInstance @PSBoundParameters
}

Export-ModuleMember -Function Get-CimInstance
