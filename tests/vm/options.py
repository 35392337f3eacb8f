# SPDX-License-Identifier: GPL-2.0-only
"""The options of tools/vm: what they are, and which go together."""

import argparse
import os

from arches import ARCHES, TWO_IOMMUS

# Not the host's: the guest mounts its own there.
GUEST_ONLY = ("/dev", "/proc", "/run", "/sys")
# Where what is laid over the host's files hides them, with --system: what the
# host is told to do at boot is no business of the guest. Programs for another
# kind of machine are no use to it either.
OVER_SYSTEM = ("/etc/iommud", "/etc/modprobe.d", "/etc/modules-load.d",
               "/etc/systemd/system", "/etc/udev",
               "/usr/lib/systemd/system-generators", "/usr/lib/tmpfiles.d")
OVER_FILES = ("/usr",)

DESCRIPTION = """\
Boot a machine (QEMU, without KVM), load Granule's modules and run COMMAND in
it as root, in the current directory, with the caller's environment and the
build's programs first in PATH. What COMMAND writes and its exit status become
those of tools/vm. The guest sees the host's files; what it writes stays in
the guest, except below --share DIR. COMMAND's standard input is empty. An
"edu" device (1234:11e8) is at 0000:00:10.0, but with --second-granule."""

EPILOG = """\
systems:
  Without --system, COMMAND is alone: no udev, no services. With it, it runs
  when systemd has started udev and all units, Granule's being enabled. No
  modules are loaded but the IOMMU's: that is for the system to do. What the
  host's /etc says about units, udev and modules does not count in the guest.

arm64:
  With --arch arm64 the machine is QEMU's "virt" with a kernel of Debian's for
  it. Of the guest's files, /usr is Debian's for arm64; the others are the
  host's. What Granule has for it is built by tools/cross, in BUILD/arm64.

two IOMMUs:
  With --second-granule the machine is a microvm. Two ports have an "edu" each
  behind them, at 0000:01:00.0 and 0000:02:00.0, and each port has an IOMMU. No
  firmware says so: granule-place.ko (of --selftest) does, see tests/vm/two.sh.

boots:
  Kernels run with slub_debug=FZPU page_poison=1 (a kernel with KASAN without)
  and panic_on_warn=1 oops=panic. With --icount they run without the memory
  checks, on one CPU, and the guest's TSC counts instructions.

exit status:
  COMMAND's own (128 + N when killed by signal N), or
  124  the VM was still running after --timeout seconds, or silent for
       --silence; what its tasks were doing is printed
  125  the VM could not be started, died, or COMMAND succeeded but the kernel's
       log has a warning, a BUG, an oops, a lockdep report or a lockup
  126  COMMAND cannot be executed
  127  COMMAND is not found
    2  wrong usage

environment:
  GRANULE_BUILD  build directory: modules in kernel-*/, programs (build/)
  GRANULE_CACHE  where tools/setup unpacks (/var/cache/granule)
  COMMAND finds GRANULE_VM=1.

examples:
  tools/vm -- uname -r
  tools/vm --kernel 6.1 --iommu virtio --granule 4k -- lspci -k
  tools/vm --share out -- sh -c 'dmesg >out/dmesg'
  tools/vm --shell
  tools/vm --arch arm64 --firmware acpi --granule 16k -- uname -m
"""


def seconds(text):
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError("has to be more than 0")
    return value


def mebibytes(text):
    value = int(text)
    if value < 256:
        raise argparse.ArgumentTypeError("has to be 256 (MiB) or more")
    return value


def parse(argv, build):
    """The options, complete and possible together, and the command."""
    command = []
    if "--" in argv:
        at = argv.index("--")
        argv, command = argv[:at], argv[at + 1:]
    p = argparse.ArgumentParser(
        prog="tools/vm", description=DESCRIPTION, epilog=EPILOG,
        usage="tools/vm [OPTION]... -- COMMAND [ARGUMENT]...\n"
              "       tools/vm [OPTION]... --shell [-- COMMAND...]",
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--arch", default="amd64", choices=ARCHES,
                   help="what machine (default: amd64)")
    p.add_argument("--firmware", choices=("dt", "acpi"),
                   help="what describes an arm64 machine: a devicetree, or "
                        "ACPI by EFI (default: dt)")
    p.add_argument("--kernel", default="6.12", metavar="6.1|6.12|PATH",
                   help="a kernel that tools/setup fetched, a kernel's build "
                        "tree, or a bzImage (default: 6.12)")
    p.add_argument("--iommu", choices=("intel", "virtio", "none"),
                   help="which IOMMU the machine has (default: intel; virtio "
                        "with --arch arm64)")
    p.add_argument("--granule", choices=("4k", "16k", "64k"),
                   help="page size of the virtio IOMMU (default: 4k)")
    p.add_argument("--second-granule", choices=("4k", "16k", "64k"),
                   help="a machine with two virtio IOMMUs, this being the "
                        "page size of the second: see two IOMMUs, below")
    p.add_argument("--boot-bypass", action="store_true",
                   help="the virtio IOMMU lets all DMA pass until a driver "
                        "takes over (default: it blocks all)")
    p.add_argument("--memory", type=mebibytes, default=1024, metavar="MIB",
                   help="memory in MiB (default: 1024)")
    p.add_argument("--icount", action="store_true",
                   help="count instructions: see boots, below")
    p.add_argument("--share", metavar="DIR",
                   help="let the guest write to DIR of the host")
    p.add_argument("--qemu", action="append", default=[],
                   metavar="'EXTRA ARGS'", help="more arguments for QEMU")
    p.add_argument("--qmp", action="store_true",
                   help="the guest can talk to QEMU's monitor: GRANULE_QMP "
                        "names its serial line")
    p.add_argument("--modules", metavar="DIR",
                   help="take the modules from DIR, build none")
    p.add_argument("--no-modules", action="store_true",
                   help="boot without Granule's modules; build none")
    p.add_argument("--no-load", action="store_true",
                   help="make Granule's modules ready for modprobe, load none")
    p.add_argument("--selftest", action="store_true",
                   help="build the modules with GRANULE_SELFTEST=1")
    p.add_argument("--system", action="store_true",
                   help="boot systemd, with Granule installed")
    p.add_argument("--files", metavar="DIR",
                   help="with --system: lay what is in DIR over its files")
    p.add_argument("--power-off", action="store_true",
                   help="shut the machine down when COMMAND has ended, under "
                        "whatever it left running")
    p.add_argument("--append", default="", metavar="'KERNEL ARGS'",
                   help="more arguments for the kernel")
    p.add_argument("--timeout", type=seconds, default=600, metavar="SEC",
                   help="stop the VM after SEC seconds (default: 600)")
    p.add_argument("--silence", type=seconds, default=float("inf"),
                   metavar="SEC", help="stop the VM when COMMAND has written "
                   "nothing for SEC seconds")
    p.add_argument("--log", metavar="FILE",
                   help="write the kernel's log to FILE")
    p.add_argument("--shell", action="store_true",
                   help="give COMMAND (default: a shell) the terminal")
    p.add_argument("-v", "--verbose", action="store_true",
                   help="print QEMU's command line and how long things took")
    options = p.parse_args(argv)
    if options.shell:
        command = command or ["bash", "-i"]
    if not command:
        p.error("no COMMAND: give one after --, or --shell")
    if options.second_granule and (options.arch != "amd64" or
                                   options.iommu != "virtio"):
        p.error("--second-granule: goes with --iommu virtio, on amd64")
    arch = options.arch = TWO_IOMMUS if options.second_granule else \
        ARCHES[options.arch]
    options.build = build + arch.build
    options.iommu = options.iommu or arch.iommus[0]
    if options.iommu not in arch.iommus:
        p.error(f"--iommu {options.iommu}: there is none with --arch "
                f"{arch.name}")
    for name in arch.without:
        if getattr(options, name):
            p.error(f"--{name}: not with " + (
                "--second-granule" if options.second_granule
                else f"--arch {arch.name}"))
    if options.firmware and arch.name != "arm64":
        p.error(f"--firmware {options.firmware}: goes with --arch arm64")
    if options.granule and options.iommu != "virtio":
        p.error(f"--granule {options.granule}: only --iommu virtio has a "
                "granule to choose")
    options.granule = options.granule or "4k"
    if options.boot_bypass and options.iommu != "virtio":
        p.error("--boot-bypass: only --iommu virtio has it")
    if options.no_modules and (options.modules or options.selftest):
        p.error("--no-modules goes with neither --modules nor --selftest")
    if options.modules and options.selftest:
        p.error("--modules DIR is not built, so not with --selftest either")
    if options.files and not options.system:
        p.error("--files goes with --system")
    if options.files and not os.path.isdir(options.files):
        p.error(f"--files {options.files}: not a directory")
    if options.shell and options.qmp and arch.name == "arm64":
        p.error("--shell and --qmp: there is one serial line for both")
    if options.shell and not os.isatty(0):
        p.error("--shell needs a terminal as standard input")
    if options.share:
        if not os.path.isdir(options.share):
            p.error(f"--share {options.share}: not a directory")
        options.share = os.path.realpath(options.share)
    if options.log:
        options.log = os.path.abspath(options.log)
    cwd = os.getcwd()
    shared = options.share and (cwd + "/").startswith(options.share + "/")
    own = GUEST_ONLY + (OVER_FILES if arch.files else ())
    if not shared and any((cwd + "/").startswith(d + "/") for d in own):
        p.error(f"the guest has a {cwd.split('/')[1]} directory of its own, "
                f"so {cwd} cannot be the working directory: go elsewhere or "
                "use --share")
    return options, command
