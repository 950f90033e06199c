# {vm_id, name, info, services} -> {vms: [{id, name, state, info, services}]}
# vm_id or name (after a colon) select; both null: every virtual machine. info and services say what to read of each.
# What is null could not be read; a virtual machine that is off has no heartbeat.
$problems = $null
if ($null -ne $request.vm_id) {
    $found = @(Hyper-V\Get-VM -Id $request.vm_id -ErrorAction SilentlyContinue -ErrorVariable problems)
}
elseif ($null -ne $request.name -and $request.name -notmatch '[*?[\]`]') {
    $found = @(Hyper-V\Get-VM -Name $request.name.Substring(1) -ErrorAction SilentlyContinue -ErrorVariable problems)
}
else {
    $found = @(Hyper-V\Get-VM -ErrorAction SilentlyContinue -ErrorVariable problems)
}
foreach ($problem in $problems) {
    $failures += ConvertTo-Failure $problem $problem.TargetObject
}
if ($found.Count -eq 0 -and $failures.Count -eq 0) {
    # Nothing to see and nothing wrong: make sure that this caller would be told if there were something to see.
    $null = Hyper-V\Get-VMHost
}
$result = @{
    vms = @(foreach ($vm in $found) {
        $id = $null
        try {
            $entry = ConvertTo-Texts @{ id = $vm.Id; name = $vm.Name; state = $vm.State }
            $id = $entry.id
            $entry.info = $null
            $entry.services = $null
            try {
                if ($request.info) {
                    $info = ConvertTo-Texts @{
                        status                       = $vm.Status
                        heartbeat                    = $vm.Heartbeat
                        version                      = $vm.Version
                        notes                        = $vm.Notes
                        integration_services_version = $vm.IntegrationServicesVersion
                        checkpoint_type              = $vm.CheckpointType
                    }
                    $generation = $vm.Generation
                    $uptime = $vm.Uptime
                    $clustered = $vm.IsClustered
                    $info.generation = if ($null -eq $generation) { $null } else { [int] $generation }
                    $info.uptime_seconds = if ($null -eq $uptime) { $null } else { [long] $uptime.TotalSeconds }
                    $info.clustered = if ($null -eq $clustered) { $null } else { [bool] $clustered }
                    $adapters = $vm.NetworkAdapters
                    $unread = $null -eq $adapters
                    $addresses = @(foreach ($adapter in $adapters) {
                        $reported = $adapter.IPAddresses
                        if ($null -eq $reported) { $unread = $true }
                        foreach ($address in $reported) { [string] $address }
                    })
                    $info.addresses = $null
                    if (-not $unread) { $info.addresses = $addresses }
                    $entry.info = $info
                }
                if ($request.services) {
                    $components = @(Hyper-V\Get-VMIntegrationService -VM $vm)
                    $entry.services = @(foreach ($component in $components) { ConvertTo-ServiceRecord $component })
                }
            }
            catch {
                $failures += ConvertTo-Failure $_ $id
            }
            $entry
        }
        catch {
            $failures += ConvertTo-Failure $_ $id
        }
    })
}
