"""A made-up Jetson for tests of settings: `nvpmodel` and `jetson_clocks` as scripts on PATH that keep their state in files, and a sysfs to match."""

from pathlib import Path

from tests.device.agent.test_jetson import CONF, clocks
from tests.device.agent.test_machine import put

NVPMODEL = """#!/bin/sh
echo "nvpmodel $*" >> "{folder}/log"
case "$1" in
-q) n=$(cat "{folder}/mode"); case $n in 0) m=15W;; 2) m=MAXN_SUPER;; *) m=MODE_$n;; esac
    echo 'NVPM WARN: fan mode is not set!'; echo "NV Power Mode: $m"; echo $n;;
-m) [ ! -e "{folder}/needs-boot" ] || {{ echo 'Reboot required'; exit 0; }}
    [ ! -e "{folder}/broken" ] || {{ echo 'NVPM ERROR: it broke' >&2; exit 3; }}
    echo "$2" > "{folder}/mode";;
esac
"""
JETSON_CLOCKS = """#!/bin/sh
echo "jetson_clocks $*" >> "{folder}/log"
cpu="{root}/sys/devices/system/cpu/cpufreq"; gpu="{root}/sys/class/devfreq/17000000.gpu"
case "$1" in
--store) [ ! -e "$2" ] || exit 9; cat $cpu/policy0/scaling_min_freq > "$2";;
--restore) for p in $cpu/policy*; do cat "$2" > $p/scaling_min_freq; done; echo "$(cat "$2")000" > $gpu/min_freq;;
"") [ ! -e "{folder}/stiff" ] || exit 0
    for p in $cpu/policy*; do cat $p/scaling_max_freq > $p/scaling_min_freq; done; cat $gpu/max_freq > $gpu/min_freq;;
esac
"""


class Board:
    """Tools in a folder, and the root that they act on; mode 0 stands, clocks are free."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.root = folder / "tools", folder / "root"
        self.cache = folder / "cache"
        clocks(self.root, 729600)
        put(self.root, "etc/nvpmodel.conf", CONF)
        put(self.folder, "mode", "0\n")
        self.script("nvpmodel", NVPMODEL)
        self.script("jetson_clocks", JETSON_CLOCKS)

    def script(self, name: str, text: str) -> None:
        """A program on the board's PATH."""
        put(self.folder, name, text.format(folder=self.folder, root=self.root))
        (self.folder / name).chmod(0o755)

    @property
    def path(self) -> str:
        """What PATH must be."""
        return f"{self.folder}:/usr/bin:/bin"

    @property
    def mode(self) -> str:
        """The number of the mode that stands."""
        return (self.folder / "mode").read_text().strip()

    @property
    def least(self) -> str:
        """The least clock of the first cluster, kHz."""
        return (self.root / "sys/devices/system/cpu/cpufreq/policy0/scaling_min_freq").read_text().strip()

    @property
    def log(self) -> list[str]:
        """What the tools were asked, but for questions."""
        lines = (self.folder / "log").read_text().splitlines() if (self.folder / "log").exists() else []
        return [line for line in lines if line != "nvpmodel -q"]
