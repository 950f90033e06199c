# {} -> {name, os_caption, os_version, os_build, language, module_version, powershell_version, powershell_edition, language_mode}
$vmHost = Hyper-V\Get-VMHost
$result = @{
    name               = [string] $vmHost.ComputerName
    os_caption         = $null
    os_version         = $null
    os_build           = $null
    language           = $null
    module_version     = [string] (Microsoft.PowerShell.Core\Get-Module -Name Hyper-V).Version
    powershell_version = [string] $PSVersionTable.PSVersion
    powershell_edition = [string] $PSVersionTable.PSEdition
    language_mode      = [string] $ExecutionContext.SessionState.LanguageMode
}
try {
    $system = CimCmdlets\Get-CimInstance -ClassName Win32_OperatingSystem
    $result.os_caption = [string] $system.Caption
    $result.os_version = [string] $system.Version
    $result.os_build = [string] $system.BuildNumber
    $result.language = [string] @($system.MUILanguages)[0]
}
catch {
    $failures += ConvertTo-Failure $_ 'Win32_OperatingSystem'
}
