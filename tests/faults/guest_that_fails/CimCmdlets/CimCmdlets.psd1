@{
    RootModule        = 'CimCmdlets.psm1'
    ModuleVersion     = '7.0.0.0'
    GUID              = '0d9e8e86-0000-4000-8000-0000000000ac'
    FunctionsToExport = @('Get-CimInstance')
    CmdletsToExport   = @()
}
