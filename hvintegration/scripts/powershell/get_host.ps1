# {} -> {name, os_caption, os_version, os_build, language, module_version, powershell_version, powershell_edition, language_mode}
$vmHost = Hyper-V\Get-VMHost
$result = ConvertTo-Texts @{
    name               = $vmHost.ComputerName
    os_caption         = $null
    os_version         = $null
    os_build           = $null
    language           = $null
    module_version     = (Microsoft.PowerShell.Core\Get-Module -Name Hyper-V).Version
    powershell_version = $PSVersionTable.PSVersion
    powershell_edition = $PSVersionTable.PSEdition
    language_mode      = $ExecutionContext.SessionState.LanguageMode
}
try {
    $system = CimCmdlets\Get-CimInstance -ClassName Win32_OperatingSystem
    $result.os_caption = $system.Caption
    $result.os_version = $system.Version
    $result.os_build = $system.BuildNumber
    $result.language = @($system.MUILanguages)[0]
    $result = ConvertTo-Texts $result
}
catch {
    $failures += ConvertTo-Failure $_ 'Win32_OperatingSystem'
}
