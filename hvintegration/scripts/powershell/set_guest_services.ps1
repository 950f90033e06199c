# {vm_id, changes: [{name, action, then_start}], dry_run} -> {vm_id, version, changes: [{before, begun}], services: [...]}
# vm_id: which virtual machine this must be, or null. action: start, stop, automatic, manual or disabled. What is as wanted
# is left alone, and so is what cannot be started because it is disabled; with then_start, it is not stopped either. The
# answer has one entry for each change, in order: the service before it, and whether its cmdlet was called; null if there
# is no such service. services: all of them after all changes. An error about a change has its index as target; one with
# another target, or with none, is as in get_guest.
$known = Get-MachineId
$result = ConvertTo-Texts @{ vm_id = $known; version = Get-Setting "$vmKey\Auto" 'IntegrationServicesVersion' }
$result.changes = $null
$result.services = $null
if ($null -ne $request.vm_id -and $null -ne $known -and $known -ne [string] $request.vm_id) {
    $failures += @{
        id            = 'AnotherVirtualMachine'
        category      = 'InvalidOperation'
        message       = ''
        target        = $null
        target_object = [string] $known
    }
}
else {
    $records = Get-GuestServices
    $before = @{}
    foreach ($record in $records.services) { $before[[string] $record.name] = $record }
    $modes = @{ automatic = 'Automatic'; manual = 'Manual'; disabled = 'Disabled' }
    $began = $false
    $index = 0
    $result.changes = @(foreach ($change in $request.changes) {
        $name = [string] $change.name
        $action = [string] $change.action
        $record = $before[$name]
        $outcome = $null
        if ($null -ne $record) {
            $outcome = @{ before = $record; begun = $false }
            $state = [string] $record.state
            $type = ([string] $record.start_type) -replace '^Auto$', 'Automatic'
            $needed = if ($action -eq 'start') { $state -eq 'Stopped' -and $type -ne 'Disabled' }
            elseif ($change.then_start -and $type -eq 'Disabled') { $false }
            elseif ($action -eq 'stop') { $state -eq 'Running' -or $state -eq 'Paused' }
            else { $type -ne $modes[$action] }
            if ($needed -and -not $request.dry_run) {
                $outcome.begun = $true
                $began = $true
                try {
                    if ($action -eq 'start') { Microsoft.PowerShell.Management\Start-Service -Name $name }
                    elseif ($action -eq 'stop') { Microsoft.PowerShell.Management\Stop-Service -Name $name }
                    else { Microsoft.PowerShell.Management\Set-Service -Name $name -StartupType $modes[$action] }
                }
                catch {
                    $failures += ConvertTo-Failure $_ $index
                }
            }
        }
        $index++
        $outcome
    })
    # One that the host does not offer starts, and stops by itself. So what was begun is looked at a moment later.
    for ($look = 0; $began -and $look -lt 10; $look++) {
        Microsoft.PowerShell.Utility\Start-Sleep -Milliseconds $(if ($look) { 300 } else { 500 })
        $records = Get-GuestServices
        $pending = @(foreach ($record in $records.services) {
            foreach ($change in $request.changes) {
                if ([string] $change.name -eq [string] $record.name -and [string] $record.state -like '*Pending') { $record }
            }
        })
        if (-not $pending.Count) { break }
    }
    $result.services = $records.services
    $failures += $records.failures
}
