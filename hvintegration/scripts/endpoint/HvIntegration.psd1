@{
    ModuleVersion     = '1.0'
    GUID              = 'a52b1245-ade1-4c8a-8d10-c129bb4b4ba5'
    Author            = 'The hvintegration authors'
    Description       = 'Role capabilities of a restricted endpoint for hvintegration: HvIntegrationReader, HvIntegrationOperator and HvIntegrationGuestOperator.'
    PowerShellVersion = '5.1'
    FunctionsToExport = @()
    CmdletsToExport   = @()
    VariablesToExport = @()
    AliasesToExport   = @()
}
