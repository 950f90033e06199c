# {changes: [{vm_id, component_id, enabled}], dry_run} -> {changes: [{before, begun, after}], vms: [{id, name, state, services}]}
# The answer has one entry for each change, in order: whether it was enabled before, whether its cmdlet was called, and
# whether the component that the cmdlet passed on was enabled. What is null could not be read. An entry is null if its
# component could not be got. An error about a change has its index as target.
$order = @()
$machines = @{}
$components = @{}
$unreadable = @{}

$plan = @(for ($index = 0; $index -lt $request.changes.Count; $index++) {
    $change = $request.changes[$index]
    $id = [string] $change.vm_id
    if (-not $machines.ContainsKey($id) -and -not $unreadable.ContainsKey($id)) {
        try {
            $machine = Hyper-V\Get-VM -Id $id
            $components[$id] = @(Hyper-V\Get-VMIntegrationService -VM $machine)
            $machines[$id] = $machine
            $order += $id
        }
        catch {
            $unreadable[$id] = $_
        }
    }
    $component = $null
    if ($machines.ContainsKey($id)) {
        $reason = 'ComponentNotFound'
        foreach ($candidate in $components[$id]) {
            $name = $candidate.Id
            if ($null -eq $name) { $reason = 'ComponentNotRead' }
            elseif (([string] $name).Split('\')[-1] -eq [string] $change.component_id) { $component = $candidate }
        }
        if ($null -eq $component) {
            $failures += @{
                id            = $reason
                category      = 'ObjectNotFound'
                message       = ''
                target        = [string] $index
                target_object = [string] $change.component_id
            }
        }
    }
    else {
        $failures += ConvertTo-Failure $unreadable[$id] $index
    }
    @{ component = $component; enable = [bool] $change.enabled }
})

$index = 0
$changes = @(foreach ($step in $plan) {
    $outcome = $null
    if ($null -ne $step.component) {
        $before = $step.component.Enabled
        $outcome = @{ before = $before; begun = $false; after = $null }
        try {
            if ($null -ne $before -and $before -ne $step.enable -and -not $request.dry_run) {
                $outcome.begun = $true
                $passed = if ($step.enable) { Hyper-V\Enable-VMIntegrationService -VMIntegrationService $step.component -Passthru }
                else { Hyper-V\Disable-VMIntegrationService -VMIntegrationService $step.component -Passthru }
                $outcome.after = $passed.Enabled
            }
        }
        catch {
            $failures += ConvertTo-Failure $_ $index
        }
    }
    $index++
    $outcome
})

$result = @{
    changes = $changes
    vms     = @(foreach ($id in $order) {
        try {
            $machine = $machines[$id]
            $entry = ConvertTo-Texts @{ id = $id; name = $machine.Name; state = $machine.State }
            $entry.services = @(foreach ($component in (Hyper-V\Get-VMIntegrationService -VM $machine)) { ConvertTo-ServiceRecord $component })
            $entry
        }
        catch {
            $failures += ConvertTo-Failure $_ $id
        }
    })
}
