#requires -Version 5.1
<#
.SYNOPSIS
Adds the cabinet file of the integration services to the disk of a Windows guest that is off.

.DESCRIPTION
Mounts the virtual hard disk on this Hyper-V host, adds the package to the Windows that is on it, and dismounts it,
whatever happens in between. For guests with Windows 7, Windows 8, Windows Server 2008 R2 or Windows Server 2012.

Heed before you run it, as administrator:
- Have a backup of the disk that you have restored once. What goes wrong here can leave a guest that does not start.
- The virtual machine must be off: not running, not saved, not paused. A disk that is in use is refused.
- It must have no checkpoints, and the disk must be the parent of no other. Writing to a parent makes all that is based
  on it unusable. What this host knows of that is refused; what other hosts or folders have, it cannot see.
- A differencing disk is refused. Merge it first, by deleting the checkpoints in Hyper-V Manager.
- Do not use it on a disk that is replicated or shared, or whose guest has encrypted it.
- A cabinet file for another Windows fails a version check and does not harm the guest.

.PARAMETER Path
The virtual hard disk (.vhd or .vhdx) from which the guest starts.

.PARAMETER PackagePath
The cabinet file that fits the guest. Hosts before Windows 10 and Windows Server 2016 have them in
C:\Windows\vmguest\support\amd64 and \x86; others get them from KB3071740 (https://support.microsoft.com/kb/3071740):
Windows6.2-HyperVIntegrationServices-*.cab for Windows 8 and Windows Server 2012,
Windows6.x-HyperVIntegrationServices-*.cab for Windows 7 and Windows Server 2008 R2.

.EXAMPLE
.\Update-OfflineIntegrationServices.ps1 -Path D:\VMs\web.vhdx -PackagePath C:\Updates\windows6.x-hypervintegrationservices-x64.cab

.EXAMPLE
.\Update-OfflineIntegrationServices.ps1 -Path D:\VMs\web.vhdx -PackagePath C:\Updates\windows6.x-hypervintegrationservices-x64.cab -WhatIf

Looks at the disk and the virtual machines, and changes nothing.
#>
[CmdletBinding(SupportsShouldProcess, ConfirmImpact = 'High')]
param(
    [Parameter(Mandatory)] [ValidateNotNullOrEmpty()] [string] $Path,
    [Parameter(Mandatory)] [ValidateNotNullOrEmpty()] [string] $PackagePath
)

Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

function Resolve-FilePath([string] $File) {
    $full = $ExecutionContext.SessionState.Path.GetUnresolvedProviderPathFromPSPath($File)
    if (-not [System.IO.File]::Exists($full)) { throw "There is no file $full." }
    $full
}

# Everything is found out before anything is changed.
$disk = Resolve-FilePath $Path
$package = Resolve-FilePath $PackagePath
$about = Hyper-V\Get-VHD -Path $disk
if ($about.VhdType -eq 'Differencing') { throw "$disk is a differencing disk. Delete the checkpoints first, which merges it." }
if ($about.Attached) { throw "$disk is in use. Turn the virtual machine off, or dismount the disk." }
foreach ($vm in @(Hyper-V\Get-VM)) {
    $snapshots = @(Hyper-V\Get-VMSnapshot -VM $vm)
    $inSnapshot = @($snapshots | ForEach-Object { Hyper-V\Get-VMHardDiskDrive -VMSnapshot $_ } | Where-Object { $_.Path -eq $disk })
    if ($inSnapshot.Count -gt 0) { throw "A checkpoint of the virtual machine $($vm.Name) is based on $disk. Delete its checkpoints first." }
    foreach ($drive in @(Hyper-V\Get-VMHardDiskDrive -VM $vm)) {
        if (-not $drive.Path) { continue }
        if ($drive.Path -eq $disk) {
            if ($vm.State -ne 'Off') { throw "The virtual machine $($vm.Name) is not off but $($vm.State)." }
            if ($snapshots.Count -gt 0) { throw "The virtual machine $($vm.Name) has checkpoints. Delete them first." }
        }
        elseif ($drive.Path -match '^[A-Za-z]:\\|^\\\\') {
            $parent = (Hyper-V\Get-VHD -Path $drive.Path).ParentPath
            while ($parent) {
                if ($parent -eq $disk) { throw "The disk $($drive.Path) of the virtual machine $($vm.Name) is based on $disk." }
                $parent = (Hyper-V\Get-VHD -Path $parent).ParentPath
            }
        }
    }
}

if (-not $PSCmdlet.ShouldProcess($disk, "Mount it, add $package to the Windows on it, and dismount it")) { return }

$mounted = $false
try {
    $image = Hyper-V\Mount-VHD -Path $disk -Passthru
    $mounted = $true
    $number = $image.DiskNumber
    if ((Storage\Get-Disk -Number $number).OperationalStatus -ne 'Online') {
        Storage\Set-Disk -Number $number -IsOffline $false
        Storage\Set-Disk -Number $number -IsReadOnly $false
    }
    $systems = @()
    foreach ($partition in @(Storage\Get-Partition -DiskNumber $number)) {
        $letter = [string] $partition.DriveLetter
        if ($letter -match '^[A-Za-z]$' -and [System.IO.Directory]::Exists("${letter}:\Windows\System32")) { $systems += "${letter}:\" }
    }
    if ($systems.Count -ne 1) { throw "The disk has $($systems.Count) partitions with a drive letter and Windows on them; it must be one." }
    Dism\Add-WindowsPackage -Path $systems[0] -PackagePath $package
}
finally {
    if ($mounted) { Hyper-V\Dismount-VHD -Path $disk }
}
