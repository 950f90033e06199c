# {devices, programs, names, units, scripts} -> facts, see the operation that reads them. What could not be read is null.
# devices, programs: paths; names: of processes, cut at 15 characters; units: of systemd; scripts: of other init systems. All with spaces between.
result={$(facts)}
