# The stand-in module, but sessions with guests can fail, and guests can say anything. FILE.sessions, beside the world file,
# has a line for each session to come: 'good', 'before ID REASON' or 'after ID REASON' for an error before or after what was
# sent has run, 'says TEXT' for what a guest says, 'writes TEXT' for one that goes on writing it. Without lines all are good.
Import-Module -Name "$PSHOME/HyperV.StandIn.dll"

function Get-Session {
    $path = "$env:HYPERV_WORLD.sessions"
    if (-not [System.IO.File]::Exists($path)) { return 'good' }
    $first, $rest = [System.IO.File]::ReadAllLines($path)
    [System.IO.File]::WriteAllLines($path, [string[]] @($rest))
    if ($first) { $first } else { 'good' }
}

function Invoke-Command { [CmdletBinding()] param([Guid] $VMId, [pscredential] $Credential, [object[]] $ArgumentList, [scriptblock] $ScriptBlock)
    $what, $argument = (Get-Session) -split ' ', 2
    if ($what -eq 'says') { return $argument -split '\|' }
    if ($what -eq 'large') { return 'x' * [int] $argument }
    if ($what -eq 'deep') { return '[' * [int] $argument }
    if ($what -eq 'writes') { while ($true) { $argument } }
    if ($what -ne 'before') { $said = HyperV.StandIn\Invoke-Command @PSBoundParameters }
    if ($what -eq 'before' -or $what -eq 'after') {
        $id, $reason = $argument -split ' '
        $failure = [System.Exception]::new('An error has occurred which PowerShell cannot handle. A remote session might have ended.')
        $record = [System.Management.Automation.ErrorRecord]::new($failure, $id, 'OpenError', $null)
        $record.CategoryInfo.Reason = $reason
        $PSCmdlet.ThrowTerminatingError($record)
    }
    $said
}

function Get-VMHost { [CmdletBinding()] param() HyperV.StandIn\Get-VMHost }
function Get-VM { [CmdletBinding()] param([Guid] $Id, [string[]] $Name) HyperV.StandIn\Get-VM @PSBoundParameters }
function Get-VMIntegrationService { [CmdletBinding()] param($VM) HyperV.StandIn\Get-VMIntegrationService -VM $VM }
function Enable-VMIntegrationService { [CmdletBinding()] param($VMIntegrationService, [switch] $Passthru) HyperV.StandIn\Enable-VMIntegrationService @PSBoundParameters }
function Disable-VMIntegrationService { [CmdletBinding()] param($VMIntegrationService, [switch] $Passthru) HyperV.StandIn\Disable-VMIntegrationService @PSBoundParameters }

Export-ModuleMember -Function *-VM*, Invoke-Command
