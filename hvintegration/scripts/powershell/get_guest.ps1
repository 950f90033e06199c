# {info} -> {vm_id, version, info: {...}, services: [{name, display_name, state, start_type, path, account, process_id, requires, triggered}]}
# vm_id: which virtual machine this takes itself for. version: that of its integration services. What is null could not be
# read. info only if it is asked for. An error with a target is about that alone, and not about the list of services.
$result = ConvertTo-Texts @{
    vm_id   = Get-MachineId
    version = Get-Setting "$vmKey\Auto" 'IntegrationServicesVersion'
}
$records = Get-GuestServices
$result.services = $records.services
$failures += $records.failures
$result.info = $null
if ($request.info) {
    $info = ConvertTo-Texts @{
        name               = $null
        caption            = $null
        os_version         = $null
        os_build           = $null
        vm_name            = Get-Setting "$vmKey\Guest\Parameters" 'VirtualMachineName'
        host_name          = Get-Setting "$vmKey\Guest\Parameters" 'PhysicalHostNameFullyQualified'
        powershell_version = $PSVersionTable.PSVersion
        powershell_edition = $PSVersionTable.PSEdition
        language_mode      = $ExecutionContext.SessionState.LanguageMode
    }
    $administrator = $null
    if ($info.language_mode -eq 'FullLanguage') {
        try {
            $user = [System.Security.Principal.WindowsPrincipal] [System.Security.Principal.WindowsIdentity]::GetCurrent()
            $administrator = [bool] $user.IsInRole([System.Security.Principal.WindowsBuiltInRole]::Administrator)
        }
        catch { $administrator = $null }
    }
    $uptime = $null
    $domainController = $null
    try {
        $system = CimCmdlets\Get-CimInstance -ClassName Win32_OperatingSystem
        $info.name = $system.CSName
        $info.caption = $system.Caption
        $info.os_version = $system.Version
        $info.os_build = $system.BuildNumber
        $info = ConvertTo-Texts $info
        $now = $system.LocalDateTime
        $start = $system.LastBootUpTime
        if ($null -ne $now -and $null -ne $start) { $uptime = [long] ($now - $start).TotalSeconds }
        $productType = $system.ProductType
        if ($null -ne $productType) { $domainController = 2 -eq $productType }
    }
    catch {
        $failures += ConvertTo-Failure $_ 'Win32_OperatingSystem'
    }
    $timeSources = $null
    try {
        $type = Get-Setting "$servicesKey\W32Time\Parameters" 'Type'
        $ofHost = Get-Setting "$servicesKey\W32Time\TimeProviders\VMICTimeProvider" 'Enabled'
        if ($null -ne $type -or $null -ne $ofHost) {
            $timeSources = @(
                if ($null -ne $type) { [string] $type }
                if (1 -eq $ofHost) { 'VMICTimeProvider' }
            )
        }
    }
    catch { $timeSources = $null }
    $info.administrator = $administrator
    $info.uptime = $uptime
    $info.domain_controller = $domainController
    $info.time_sources = $timeSources
    $result.info = $info
}
