# What the scripts for guests share: the integration services of this machine, and which virtual machine it takes itself for.
$vmKey = 'HKLM:\SOFTWARE\Microsoft\Virtual Machine'
$servicesKey = 'HKLM:\SYSTEM\CurrentControlSet\Services'

function Get-Setting($Path, $Name) {
    try { (Microsoft.PowerShell.Management\Get-ItemProperty -LiteralPath $Path).$Name }
    catch { if ([string] $_.CategoryInfo.Category -ne 'ObjectNotFound') { throw } else { $null } }
}

# The GUID of the virtual machine, lower case without braces; null where the machine knows none.
function Get-MachineId {
    $known = ([string] (Get-Setting "$vmKey\Guest\Parameters" 'VirtualMachineId')).Trim().Trim('{', '}').ToLowerInvariant()
    if ($known -match '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$') { $known } else { $null }
}

function Test-Trigger($Name) {
    try {
        $trigger = Microsoft.PowerShell.Management\Get-ItemProperty -LiteralPath "$servicesKey\$Name\TriggerInfo\0"
        1 -eq $trigger.Action
    }
    catch { if ([string] $_.CategoryInfo.Category -eq 'ObjectNotFound') { $false } else { $null } }
}

function Get-GuestServices {
    $problems = $null
    $found = @(Microsoft.PowerShell.Management\Get-Service -Name 'vmic*' -ErrorAction SilentlyContinue -ErrorVariable problems)
    $records = @{ failures = @(foreach ($problem in $problems) { ConvertTo-Failure $problem $null }); services = @() }
    $details = @{}
    try {
        foreach ($item in (CimCmdlets\Get-CimInstance -ClassName Win32_Service -Filter "Name LIKE 'vmic%'")) {
            $details[[string] $item.Name] = $item
        }
    }
    catch { $records.failures += ConvertTo-Failure $_ 'Win32_Service' }
    $records.services = @(foreach ($service in $found) {
        $record = ConvertTo-Texts @{
            name         = $service.Name
            display_name = $service.DisplayName
            state        = $service.Status
            start_type   = $service.StartType
            path         = $null
            account      = $null
        }
        $record.process_id = $null
        $record.requires = $null
        $record.triggered = Test-Trigger $record.name
        $required = $service.ServicesDependedOn
        if ($null -ne $required) { $record.requires = @(foreach ($other in $required) { [string] $other.Name }) }
        $detail = $details[[string] $record.name]
        if ($null -ne $detail) {
            if ($null -eq $record.start_type -and $null -ne $detail.StartMode) { $record.start_type = [string] $detail.StartMode }
            if ($null -ne $detail.PathName) { $record.path = [string] $detail.PathName }
            if ($null -ne $detail.StartName) { $record.account = [string] $detail.StartName }
            if ($null -ne $detail.ProcessId) { $record.process_id = [int] $detail.ProcessId }
        }
        $record
    })
    $records
}
