# {devices, programs, names, units} -> facts, see the operation that reads them. What could not be read is null.
# devices, programs: paths; names: of processes, cut at 15 characters; units: of the init system. All with spaces between.
result={$(facts)}
