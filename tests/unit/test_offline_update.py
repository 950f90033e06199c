from __future__ import annotations

import pytest

import hvintegration as hv


@pytest.mark.parametrize(
    "warning",
    [
        "Have a backup of the disk",
        "The virtual machine must be off: not running, not saved, not paused",
        "It must have no checkpoints, and the disk must be the parent of no other",
        "A differencing disk is refused",
    ],
)
def test_the_script_begins_with_what_to_heed(warning: str) -> None:
    assert warning in hv.offline_update_script().partition("#>")[0]


def test_the_script_builds_no_code_and_dismounts_at_the_end() -> None:
    code = hv.offline_update_script().partition("#>")[2]
    assert "Invoke-Expression" not in code
    assert "ScriptBlock" not in code
    assert code.rstrip().endswith("finally {\n    if ($mounted) { Hyper-V\\Dismount-VHD -Path $disk }\n}")
