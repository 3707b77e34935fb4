# For scripts that boot Linux in QEMU without KVM, which source this after setting `name`. They need
# qemu-system-x86_64, a static busybox, and a Linux kernel that supports a serial console and an
# initial file system, like Debian's for clouds: HOLDFAST_GUEST_KERNEL, or the newest in /boot.

missing() { echo "$name: skipped: $*" >&2; exit 77; }
die() { echo "$name: $*" >&2; exit 1; }

# ignore_signals: the first command of a clean-up, which a second signal would end half way. (To be
# rid of a clean-up that does not end there is SIGQUIT.)
ignore_signals() { trap '' HUP INT PIPE TERM; }

# The host's huge pages of 2 MiB, of which a script may add some for its time.
pool=/sys/kernel/mm/hugepages/hugepages-2048kB
pool_added=0
pool_before=

# pool_unused: prints the pages that are free and not reserved.
pool_unused() { echo $(($(cat $pool/free_hugepages) - $(cat $pool/resv_hugepages))); }

# pool_raise <pages>: adds pages. A signal is handled when the write, which can take seconds, is
# done; then pool_lower sees from $pool_before how many were added.
pool_raise() {
  pool_before=$(cat $pool/nr_hugepages)
  echo $((pool_before + $1)) >$pool/nr_hugepages || true
  pool_note
}

pool_note() {
  [ -n "$pool_before" ] || return 0
  # One command, between whose parts no trap runs.
  pool_added=$((pool_added + $(cat $pool/nr_hugepages) - pool_before)) pool_before=
}

# pool_lower: takes the added pages away, by their number, since other processes may have changed
# the pool too.
pool_lower() {
  pool_note
  [ "$pool_added" -gt 0 ] || return 0
  echo $(($(cat $pool/nr_hugepages) - pool_added)) >$pool/nr_hugepages || true
  pool_added=0
}

# Sets $busybox and $kernel; exits with status 77 if a requirement is missing.
guest_look() {
  command -v qemu-system-x86_64 >/dev/null || missing "there is no qemu-system-x86_64"
  busybox=$(command -v busybox || true)
  [ -n "$busybox" ] || missing "there is no busybox"
  if ldd "$busybox" >/dev/null 2>&1; then missing "$busybox is not linked statically"; fi
  kernel=${HOLDFAST_GUEST_KERNEL:-$(find /boot -maxdepth 1 -name 'vmlinuz-*-cloud-*' 2>/dev/null |
    sort -V | tail -1 || true)}
  [ -r "$kernel" ] ||
    missing "there is no kernel: set HOLDFAST_GUEST_KERNEL, or install a cloud kernel"
}

# guest_tree <folder> <checks>: creates the tree of the initial file system: busybox, the first
# process, the checks.
guest_tree() {
  mkdir -p "$1"/{bin,proc,sys,dev,tmp}
  cp "$busybox" "$1/bin/busybox"
  cp "${BASH_SOURCE[0]%/*}/init" "$1/init"
  cp "$2" "$1/checks.sh"
  chmod 755 "$1/init"
}

# guest_program <folder> <program>: adds a program and the libraries that it is linked with.
guest_program() {
  local library
  cp "$2" "$1/bin/"
  strip "$1/bin/${2##*/}" 2>/dev/null || true
  for library in $(ldd "$2" 2>/dev/null | grep -o '/[^ )]*' | sort -u || true); do
    mkdir -p "$1$(dirname "$library")"
    cp -L "$library" "$1$library"
  done
}

# guest_pack <folder> <file>: packs a tree into an initial file system.
guest_pack() { (cd "$1" && find . | "$busybox" cpio -o -H newc -R 0:0 2>/dev/null) >"$2"; }

# QEMU's arguments for all guests: no device that is not named.
guest_options=(-nodefaults -no-user-config -no-reboot -display none)
guest_console="console=ttyS0 quiet panic=-1"
