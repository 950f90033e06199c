"""Write everything about the virtual machines of a host and their integration services into files.

python export_inventory.py ADDRESS FOLDER       such as  sim: out

FOLDER gets inventory.json (everything) and services.csv (one line per service, safe to open in a spreadsheet).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import hvintegration as hv


def main(address: str, folder: Path) -> int:
    """Exit status 3 if something could not be read; it is in inventory.json, too."""
    try:
        with hv.connect(address) as host:
            document = {"host": host.info().to_dict(), "inventory": (inventory := host.inventory()).to_dict()}
    except hv.errors.HvError as error:
        print(f"{error} {error.hint or ''}", file=sys.stderr)
        return 1
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "inventory.json").write_text(json.dumps(document, ensure_ascii=False, indent=2), "utf-8")
    # The byte order mark tells spreadsheets that it is UTF-8.
    (folder / "services.csv").write_text(inventory.services.table().to_csv(), "utf-8-sig", newline="")
    print(f"{len(inventory.vms)} virtual machines, {len(inventory.services)} services, {len(inventory.errors)} errors")
    return 3 if inventory.errors else 0


if __name__ == "__main__":
    match sys.argv[1:]:
        case [address, folder]:
            sys.exit(main(address, Path(folder)))
        case _:
            sys.exit(__doc__)
