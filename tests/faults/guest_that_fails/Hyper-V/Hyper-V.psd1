@{
    RootModule        = 'Hyper-V.psm1'
    ModuleVersion     = '2.0.0.0'
    GUID              = '0d9e8e86-0000-4000-8000-0000000000ad'
    FunctionsToExport = @('Get-VM', 'Get-VMHost', 'Get-VMIntegrationService', 'Enable-VMIntegrationService', 'Disable-VMIntegrationService', 'Invoke-Command')
    CmdletsToExport   = @()
}
