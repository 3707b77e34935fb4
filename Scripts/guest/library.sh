# For scripts that boot Linux in QEMU without KVM, which source this after setting `name`. They need
# qemu-system-x86_64, a static busybox and a Linux kernel with a serial console and an initial file system,
# as Debian's for clouds: HOLDFAST_GUEST_KERNEL, or the newest of /boot.

missing() { echo "$name: skipped: $*" >&2; exit 77; }
die() { echo "$name: $*" >&2; exit 1; }

# Finds what is needed, as $busybox and $kernel, or ends with status 77.
guest_look() {
  command -v qemu-system-x86_64 >/dev/null || missing "there is no qemu-system-x86_64"
  busybox=$(command -v busybox || true)
  [ -n "$busybox" ] || missing "there is no busybox"
  if ldd "$busybox" >/dev/null 2>&1; then missing "$busybox is not linked statically"; fi
  kernel=${HOLDFAST_GUEST_KERNEL:-$(find /boot -maxdepth 1 -name 'vmlinuz-*-cloud-*' 2>/dev/null |
    sort -V | tail -1 || true)}
  [ -r "$kernel" ] || missing "there is no kernel: set HOLDFAST_GUEST_KERNEL, or install a cloud kernel"
}

# guest_tree <folder> <checks>: the initial file system's tree: busybox, the first process, the checks.
guest_tree() {
  mkdir -p "$1"/{bin,proc,sys,dev,tmp}
  cp "$busybox" "$1/bin/busybox"
  cp "${BASH_SOURCE[0]%/*}/init" "$1/init"
  cp "$2" "$1/checks.sh"
  chmod 755 "$1/init"
}

# guest_program <folder> <program>: adds a program and what it is linked with.
guest_program() {
  local library
  cp "$2" "$1/bin/"
  strip "$1/bin/${2##*/}" 2>/dev/null || true
  for library in $(ldd "$2" 2>/dev/null | grep -o '/[^ )]*' | sort -u || true); do
    mkdir -p "$1$(dirname "$library")"
    cp -L "$library" "$1$library"
  done
}

# guest_pack <folder> <file>
guest_pack() { (cd "$1" && find . | "$busybox" cpio -o -H newc -R 0:0 2>/dev/null) >"$2"; }

# Arguments of QEMU that all guests have: nothing but what is named.
guest_options=(-nodefaults -no-user-config -no-reboot -display none)
guest_console="console=ttyS0 quiet panic=-1"
