# {vm_id} -> {intrinsic_items}
# What a guest has told the host of its system, over Data Exchange: XML texts of CIM; null where the host has nothing.
$vm = Hyper-V\Get-VM -Id $request.vm_id
$id = [string] $vm.Id
$items = $null
foreach ($component in CimCmdlets\Get-CimInstance -Namespace root/virtualization/v2 -ClassName Msvm_KvpExchangeComponent) {
    if ($component.SystemName -eq $id) {
        $items = @(foreach ($item in $component.GuestIntrinsicExchangeItems) {
            if ($item -match '<VALUE>OS(Name|Version|MajorVersion|BuildNumber)</VALUE>') { [string] $item }
        })
    }
}
$result = @{ intrinsic_items = $items }
