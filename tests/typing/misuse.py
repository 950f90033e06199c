"""The public API as it must not be used. Every line below the marker must be refused by mypy, and is never run."""

import hvintegration as hv

host = hv.Host(hv.Simulator(hv.World()))
vm = host.vms["demovm"]
service = vm.services["vss"]
state = service.state()
guest = vm.guest(credential=hv.Credential("Administrator", "secret"))
inside = guest.services["vss"]

# -- every line below is wrong ------------------------------------------------------------------------------------
hv.connect()
hv.connect(42)
hv.connect("sim:", credential="admin:secret")
hv.connect("sim:", "admin")
hv.Host("sim:")
hv.Host(hv.Local("pwsh"), timeout=3)
hv.Local(42)
hv.WinRM()
hv.WinRM("hv01", 5986)
hv.WinRM("hv01", "admin", "secret")
hv.WinRM("hv01", credential=("admin", "secret"))
hv.WinRM("hv01", password="secret")
hv.WinRM("hv01", tls="yes")
hv.WinRM("hv01", verify=False)
hv.WinRM("hv01", encryption="never")
hv.SSH("hv01", 22)
hv.SSH("hv01", password="secret")
hv.SSH("hv01", host_key=False)
hv.SSH("hv01", jump_hosts=[hv.WinRM("hv01")])
hv.SSH("hv01", missing_host_key_policy="auto")
hv.transport_for("winrm://hv01", options={"delegate": True})
hv.Simulator(42)
hv.Simulator(hv.World(), clock=3.0)
hv.Credential("admin")
list(host.vms)
list(vm.services)
"demovm" in host.vms
"vss" in vm.services
host.vms[0]
host.vms.list(5)
host.vms.get("demovm", 5)
host.info(5)
host.name = "HV02"
vm.name = "other"
vm.id = "other"
vm.services[0]
vm.services["vss"] = service
service.enable(True)
service.enable(wait=True)
service.disable("now")
service.kind = hv.ServiceKind.KVP
service.wait_until_ok(60)
state.enabled = True
state.health = hv.Health.OK
state.status
host.set_services([("demovm", "vss")])
host.set_services([("demovm", True)])
host.set_services({"demovm": {"vss": "on"}})
host.set_services({"demovm": True})
host.vm(7)
host.set_services([("demovm", "vss", "on")])
host.set_services([(vm.info(), "vss", True)])
host.set_services("demovm", "vss", True)
host.set_services([], force=True)
host.inventory().vms["demovm"]
host.inventory()["demovm"]
hv.ServiceKind.HEARTBEATS
hv.ServiceKind.find(3)
hv.errors.VMNotFoundError("gone")
hv.ServiceState()
vm.guest(hv.Credential("Administrator", "secret"))
vm.guest(credential="secret")
vm.guest("winrm://web1", 5)
vm.guest(hv.WinRM("web1"))
hv.connect_guest()
hv.connect_guest(vm)
hv.Guest("winrm://web1")
list(guest.services)
"vss" in guest.services
guest.services[0]
guest.info(5)
guest.set_services({"vss": "on"})
guest.set_services([("vss", True)])
guest.set_services({"vss": True}, True)
inside.enable()
inside.start(wait=True)
inside.stop(True)
inside.restart(confirm=True)
inside.set_startup(True)
inside.set_startup()
inside.state().running = True
inside.wait_until_running(60)
hv.Startup.SOMETIMES
hv.GuestServiceState()
