"""What the package can ask and change: one generator each, without I/O, clock or thread.

An operation yields what it waits for, a :class:`~hvintegration.calls.call.Call` or a
:class:`~hvintegration.calls.operation.Sleep`, is sent what came of it, and returns a value. Whoever drives it
does the waiting; :class:`hvintegration.session.Session` is one driver.
"""
