"""Many devices' journals beside each other, and beside the service's profiles; see `restante fleet`.

Three steps, of which only the first does I/O. Rows and results are plain values, which may travel between processes:

    read(path)             one journal: a row for the device, and one for each profile
    fold(rows)             some profiles, with all their rows: what each should be
    join(results, export)  the same profiles: what is lost, doubled or different, and what was applied of runs in doubt

Between them, `compare_devices` tells newer snapshots from copies, and `usable` leaves rows out therefore. `report` puts
everything in one order at the end.
"""

from fleet.devices import compare_devices, usable
from fleet.fold import fold
from fleet.join import join
from fleet.read import continues, read
from fleet.report import report

__all__ = ["compare_devices", "continues", "fold", "join", "read", "report", "usable"]
