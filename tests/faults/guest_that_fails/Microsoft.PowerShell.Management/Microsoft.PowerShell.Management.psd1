@{
    RootModule        = 'Microsoft.PowerShell.Management.psm1'
    ModuleVersion     = '7.0.0.0'
    GUID              = '0d9e8e86-0000-4000-8000-0000000000ab'
    FunctionsToExport = @('Get-Service', 'Start-Service', 'Stop-Service', 'Set-Service', 'Get-ItemProperty')
    CmdletsToExport   = @()
}
