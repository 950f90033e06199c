"""The public API as a user would use it. Checked by mypy and pyright, both strict; never run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import assert_type

import hvintegration as hv
from hvintegration.scripts import GET_HOST, Script


class Reversed:
    """A transport of one's own."""

    def call(self, call: hv.Call, deadline: hv.Deadline, /) -> str:
        return call.text[::-1] if deadline.left() and not call.secrets else call.script.text

    def close(self) -> None:
        pass


def hv_script() -> Script:
    return GET_HOST


def use(directory: Path) -> None:
    with hv.connect("sim:", timeout=10) as host:
        assert_type(host, hv.Host)
        assert_type(host.address, str)
        assert_type(host.info().language, str | None)
        assert_type(host.session.stats.round_trips, int)
        assert_type(host.session.stats.requests, int | None)

        check = host.check(timeout=30)
        assert_type(check, hv.HostCheck)
        assert_type(check.ok, bool)
        assert_type(check.steps, hv.Rows[hv.CheckStep])
        assert_type(check.failed, hv.CheckStep | None)
        assert_type(check.steps[0].outcome, hv.CheckOutcome)
        assert_type(check.steps[0].hint, str | None)

        rows = host.vms.list(timeout=5)
        assert_type(rows, hv.Rows[hv.VM])
        assert_type(rows[0], hv.VM)
        assert_type(rows[1:], hv.Rows[hv.VM])
        assert_type(rows.errors, tuple[hv.Failure, ...])
        for vm in rows:
            assert_type(vm.id, str)
            assert_type(vm.info().addresses, tuple[str, ...] | None)

        vm = host.vms["demovm"]
        assert_type(vm, hv.VM)
        assert_type(host.vms.get("demovm", timeout=5), hv.VM)
        assert_type(vm.info().heartbeat, str | None)
        assert_type(vm.info().read_at, datetime)

        states = vm.services.list()
        assert_type(states, hv.Rows[hv.ServiceState])
        assert_type(states.where(lambda state: state.health is hv.Health.PROBLEM), hv.Rows[hv.ServiceState])

        service = vm.services["Guest Service Interface"]
        assert_type(service, hv.IntegrationService)
        assert_type(vm.services[hv.ServiceKind.VSS].kind, hv.ServiceKind)
        state = service.enable(timeout=30)
        assert_type(state, hv.ServiceState)
        assert_type(service.disable(), hv.ServiceState)
        assert_type(service.state(), hv.ServiceState)
        assert_type(service.wait_until_ok(timeout=60), hv.ServiceState)
        assert_type(state.health, hv.Health)
        assert_type(state.kind, hv.ServiceKind | None)
        assert_type(state.primary, str | None)
        assert_type(state.notes, tuple[str, ...])

        guest = vm.guest(credential=hv.Credential("Administrator", "secret"))
        assert_type(guest, hv.Guest)
        assert_type(vm.guest("winrm://web1", options={"auth": "ntlm"}, timeout=hv.Deadline(30.0)), hv.Guest)
        assert_type(guest.info(timeout=5), hv.GuestInfo)
        assert_type(guest.info().family, hv.GuestFamily)
        assert_type(guest.info().administrator, bool | None)
        assert_type(guest.services.list(), hv.Rows[hv.GuestServiceState])
        inside = guest.services["Key-Value Pair Exchange"]
        assert_type(inside, hv.GuestService)
        assert_type(guest.services[hv.ServiceKind.KVP].kind, hv.ServiceKind)
        assert_type(inside.state().running, bool | None)
        assert_type(inside.state().startup, hv.Startup | None)
        assert_type(inside.state().health, hv.Health)
        assert_type(inside.start(), hv.GuestServiceState)
        assert_type(inside.stop(confirm=True, timeout=5), hv.GuestServiceState)
        assert_type(inside.restart(), hv.GuestServiceState)
        assert_type(inside.set_startup("automatic"), hv.GuestServiceState)
        assert_type(inside.set_startup(hv.Startup.DISABLED, confirm=True), hv.GuestServiceState)
        assert_type(inside.wait_until_running(timeout=60), hv.GuestServiceState)
        made = guest.set_services({"kvp": True, hv.ServiceKind.VSS: False}, dry_run=True, confirm=True)
        assert_type(made, hv.Rows[hv.GuestChange])
        assert_type(made[0].state, hv.GuestServiceState | None)
        by_name: dict[str, bool] = {"kvp": True}
        by_kind: dict[hv.ServiceKind, bool] = {hv.ServiceKind.KVP: True}
        guest.set_services(by_name)
        guest.set_services(by_kind)
        assert_type(guest.inventory().services, hv.Rows[hv.GuestServiceState])
        assert_type(guest.inventory().info, hv.GuestInfo)
        assert_type(guest.inventory().errors, hv.Rows[hv.Failure])

        inventory = host.inventory()
        assert_type(inventory, hv.Inventory)
        assert_type(inventory.vms[0].info, hv.VMInfo)
        assert_type(inventory.services, hv.Rows[hv.ServiceState])
        assert_type(inventory.errors, hv.Rows[hv.Failure])

        wanted: list[tuple[hv.VM | str, hv.ServiceKind | str, bool]] = [(vm, "heartbeat", True), ("web", "vss", False)]
        changes = host.set_services(wanted, dry_run=True, timeout=30)
        assert_type(changes, hv.Rows[hv.ServiceChange])
        assert_type(changes[0].outcome, hv.ChangeOutcome)
        assert_type(changes[0].error, hv.Failure | None)
        host.set_services({"demovm": {"vss": True}, "web": {"kvp": False}})
        host.set_services({vm: {hv.ServiceKind.KVP: False}})
        host.set_services([(vm.services["vss"], True)])
        assert_type(host.vm("3f1b1a52-0000-4000-8000-000000000001"), hv.VM)
        host.set_services((vm, kind, True) for kind in ("kvp", hv.ServiceKind.VSS))

        try:
            host.vms["nobody"]
        except hv.errors.VMNotFoundError as error:
            assert_type(error.host_message, str)
            assert_type(error.hint, str | None)
        except hv.errors.TransportError as error:
            assert_type(error.may_have_run, bool)

    world = hv.World(locale="fr-FR")
    clock = hv.VirtualClock()
    hv.Host(hv.Simulator(world, clock=clock, settle=2.5))
    hv.Host(hv.Simulator(directory / "world.json"))
    hv.Host(hv.Local(["/usr/bin/pwsh", "-WorkingDirectory", "/"]))
    hv.Host(hv.Local(directory / "pwsh"))
    who = hv.Credential("CORP\\admin", "secret")
    hv.Host(hv.WinRM("hv01"))
    hv.Host(hv.WinRM("hv01", port=5985, credential=who, auth="kerberos", kerberos_hostname="hv01.corp", delegate=True))
    hv.Host(
        hv.WinRM("hv01", tls=True, credential=who, certificate_sha256="ab" * 32, configuration_name="HvIntegration")
    )
    hv.WinRM("hv01", tls=True, auth="certificate", client_certificate=directory / "me.pem", client_key="me.key")
    hv.WinRM("hv01", proxy="http://proxy:3128", proxy_credential=who, locale="de-DE", ca_file=directory / "ca.pem")
    hv.Host(hv.SSH("hv01", username="admin", port=2222, host_key="SHA256:abc"))
    hv.SSH("hv01", credential=who, jump_hosts=[hv.SSH("jump"), "admin@other:22"], known_hosts=directory / "known_hosts")
    hv.SSH("hv01", key_files=[directory / "id_ed25519"], passphrase="secret", use_agent=False, use_config=True)
    hv.Guest(hv.WinRM("web1", credential=who))
    with hv.connect_guest("winrm://web1", credential=who, timeout=5, options={"auth": "ntlm"}) as other:
        assert_type(other, hv.Guest)
        assert_type(other.address, str)
    hv.connect("ssh://admin@hv01:2222", credential=who, timeout=5)
    hv.transport_for("winrms://hv01", credential=who, options={"auth": "ntlm"})
    hv.Host(Reversed())
    transports: Sequence[hv.Transport] = [
        hv.Local("pwsh"),
        hv.WinRM("hv01"),
        hv.SSH("hv01"),
        hv.Simulator(world),
        Reversed(),
    ]
    recorder = hv.Recorder(hv.transport_for("sim:"), directory / "bug.jsonl", secrets=("a", "b"), keep_texts=False)
    assert_type(recorder.failure, hv.errors.HvError | None)
    assert_type(hv.Replay("bug.jsonl").remaining, int)
    transports = [recorder, hv.Replay(directory / "bug.jsonl")]
    assert_type(transports[0].call(hv.Call(hv_script(), {}, secrets={}, dry_run=True), hv.Deadline(1.0)), str)
    hv.Credential("admin", "secret")
    assert_type(hv.ServiceKind.find("Takt"), hv.ServiceKind)
    assert_type(hv.ServiceKind.KVP.linux_daemons, tuple[str, ...])


def diagnose() -> None:
    with hv.connect("sim:") as host:
        vm = host.vms["demovm"]
        guest = vm.guest("ssh://root@web1")
        diagnosis = vm.diagnose(guest, host_info=host.info(), timeout=30)
        assert_type(diagnosis, hv.Diagnosis)
        assert_type(diagnosis.findings, hv.Rows[hv.Finding])
        assert_type(diagnosis.missing, tuple[str, ...])
        assert_type(guest.diagnose(), hv.Diagnosis)
        for finding in diagnosis.findings:
            assert_type(finding.severity, hv.Severity)
            assert_type(finding.kind, hv.ServiceKind | None)
            if finding.fix is not None:
                assert_type(vm.apply(finding.fix, guest=guest), hv.ServiceChange | hv.GuestChange)
                assert_type(guest.apply(finding.fix, confirm=True), hv.GuestChange)
        audit = host.audit(lambda vm: vm.guest("ssh://root@web1") if vm.name else None, parallel=4)
        assert_type(audit, hv.Audit)
        assert_type(audit.findings, hv.Rows[hv.Finding])
        earlier = hv.Audit.from_dict(audit.to_dict())
        assert_type(earlier, hv.Audit)
        assert_type(audit.since(earlier).new, hv.Rows[hv.Finding])
        assert_type(hv.diagnose(vm.inventory(), guest.inventory()), hv.Diagnosis)
        assert_type(hv.RULES, tuple[hv.Rule, ...])
