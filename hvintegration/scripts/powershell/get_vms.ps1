# {vm_id, name, info, services} -> {vms: [{id, name, state, info, services}]}
# vm_id or name (after a colon) select; both null: every virtual machine. info and services say what to read of each.
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
            $id = [string] $vm.Id
            $entry = @{
                id       = $id
                name     = [string] $vm.Name
                state    = [string] $vm.State
                info     = $null
                services = $null
            }
            try {
                if ($request.info) {
                    $entry.info = @{
                        status                       = [string] $vm.Status
                        heartbeat                    = if ($null -eq $vm.Heartbeat) { $null } else { [string] $vm.Heartbeat }
                        generation                   = [int] $vm.Generation
                        version                      = [string] $vm.Version
                        uptime_seconds               = [long] $vm.Uptime.TotalSeconds
                        notes                        = [string] $vm.Notes
                        addresses                    = @(foreach ($adapter in $vm.NetworkAdapters) { foreach ($address in $adapter.IPAddresses) { [string] $address } })
                        clustered                    = [bool] $vm.IsClustered
                        integration_services_version = [string] $vm.IntegrationServicesVersion
                    }
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
