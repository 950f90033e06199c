# {vm_id, document, opens_first} -> {opened, reason, answer}: what a script answers inside a guest, by PowerShell Direct.
# opened: whether a session with the guest could be had before the script was sent there; looked at only if opens_first.
# reason: the name of the type of the exception, where there is one; then answer is null.
$result = @{ opened = $false; reason = $null; answer = $null }
$parts = @()
try {
    # This loads the module Hyper-V, which may bring an Invoke-Command of its own.
    $null = Hyper-V\Get-VM -Id $request.vm_id
    if ($request.opens_first) {
        $null = Invoke-Command -VMId $request.vm_id -Credential $Guest -ScriptBlock { 0 }
        $result.opened = $true
    }
    # Windows PowerShell attaches the name of the guest to what comes out of it: a cast takes that off.
    # One text is an answer. A guest that writes more is stopped, for it may never end.
    Invoke-Command -VMId $request.vm_id -Credential $Guest -ArgumentList $request.document -ScriptBlock {
#GUEST
    } | Microsoft.PowerShell.Core\ForEach-Object { $parts += [string] $_; if ($parts.Count -gt 1) { throw 'It goes on.' } }
    $result.answer = $parts -join ''
}
catch {
    if ($parts.Count -gt 1) { $result.answer = $parts -join '' }
    else {
        $result.reason = [string] $_.CategoryInfo.Reason
        $failures += ConvertTo-Failure $_ $null
    }
}
