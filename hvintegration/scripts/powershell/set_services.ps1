# {changes: [{vm_id, component_id, enabled}], dry_run} -> {changes: [{before, changed}], vms: [{id, name, state, services}]}
# The answer has one entry for each change, in order; a failed one is null and has an error whose target is its index.
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
        foreach ($candidate in $components[$id]) {
            if (([string] $candidate.Id).Split('\')[-1] -eq [string] $change.component_id) { $component = $candidate }
        }
        if ($null -eq $component) {
            $failures += @{ id = 'ComponentNotFound'; category = 'ObjectNotFound'; message = ''; target = [string] $index }
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
        try {
            $before = [bool] $step.component.Enabled
            $differs = $before -ne $step.enable
            if ($differs -and -not $request.dry_run) {
                if ($step.enable) { Hyper-V\Enable-VMIntegrationService -VMIntegrationService $step.component }
                else { Hyper-V\Disable-VMIntegrationService -VMIntegrationService $step.component }
            }
            $outcome = @{ before = $before; changed = $differs }
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
            @{
                id       = $id
                name     = [string] $machine.Name
                state    = [string] $machine.State
                services = @(foreach ($component in (Hyper-V\Get-VMIntegrationService -VM $machine)) { ConvertTo-ServiceRecord $component })
            }
        }
        catch {
            $failures += ConvertTo-Failure $_ $id
        }
    })
}
