# Functions for the recipes' scripts, which source this after setting `name`. Scripts/recipes/run
# runs them as the first process of namespaces of their own: `NAME <program holdfast> <folder for
# files>`.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../guest/library.sh"

# A recipe checks its requirements in needs(), which --check calls.
begin() {
  needs
  [ "$1" != --check ] || exit 0
  [ $$ = 1 ] || die "run Scripts/recipes/run instead"
  program=$1
  work=$2
  # The recipes name the program without a path.
  mkdir -p /run
  mount -t tmpfs -o mode=755 none /run
  mkdir -p /run/lock /run/bin
  # Files that are written here end with the namespace.
  for folder in /etc /var; do
    mkdir -p "/run/over$folder"/{upper,work}
    mount -t overlay -o "lowerdir=$folder,upperdir=/run/over$folder/upper,workdir=/run/over$folder/work" none $folder ||
      missing "cannot mount overlayfs"
  done
  cp "$program" /run/bin/holdfast
  export PATH=/run/bin:/usr/sbin:/usr/bin:/sbin:/bin
  hugepages /dev/hugepages
}

needs_program() { command -v "$1" >/dev/null || [ -x "$1" ] || missing "$1 is not installed${2:+ (Debian: $2)}"; }

# hugepages <folder> [size]: a hugetlbfs that only this namespace sees.
hugepages() {
  mkdir -p "$1"
  mount -t hugetlbfs -o "pagesize=2M,mode=0755${2:+,size=$2}" none "$1" || missing "cannot mount hugetlbfs"
}

pass() { echo "PASS $name: $*"; }

# fail <reason>: prints what the programs wrote, and ends.
fail() {
  for file in "${logs[@]}"; do
    if [ -s "$file" ]; then echo "--- $file" >&2; tail -n 40 "$file" >&2; fi
  done
  die "$*"
}
logs=()

# eventually <seconds> <command...>
eventually() {
  local until=$((SECONDS + $1))
  shift
  until "$@"; do
    [ $SECONDS -lt $until ] || return 1
    sleep 0.2
  done
}

# block <recipe>: the block after its marker in docs/recipes.md, so that the tested text is the
# published one.
block() {
  sed -n "/<!-- recipe: $1 -->/,/^\`\`\`\$/{/^<!--/d;/^\`\`\`/d;p}" "$here/../../docs/recipes.md" | grep . ||
    die "docs/recipes.md has no recipe $1"
}

# check_mapped <process> <file>: the process maps all of the file, shared and with huge pages.
check_mapped() {
  local size
  size=$(stat -c %s "$2")
  # The shell adds, since mawk's numbers have fewer than 64 bits.
  local mapped=0 range
  for range in $(awk -v file="$2" '$6 == file && $2 ~ /s$/ {print $1}' "/proc/$1/maps"); do
    mapped=$((mapped + 0x${range#*-} - 0x${range%-*}))
  done
  [ "$mapped" = "$size" ] || fail "process $1 has mapped $mapped bytes of $2, not $size"
  grep -A 30 " $2\$" "/proc/$1/smaps" | grep -q '^KernelPageSize: *2048 kB' ||
    fail "process $1 has not mapped $2 with huge pages"
}

mapped() { grep -q " $2\( (deleted)\)\?\$" "/proc/$1/maps"; }
not() { ! "$@"; }

# private_kib <process>: its resident memory beside files and huge pages.
private_kib() { awk '/^Private_(Clean|Dirty):/ {n += $2} END {print n + 0}' "/proc/$1/smaps"; }

# Without the file of 2 MiB that serve() keeps ready.
files() { find "/dev/hugepages/holdfast/$1" -type f -size +2048k | wc -l; }
ready_file() { find /dev/hugepages/holdfast/ready -type f -size +2048k; }
is_zero() { cmp -s -n "$(stat -c %s "$1")" "$1" /dev/zero; }
is_marked() { grep -qaF -m 1 "holdfast-guest-was-here" "$1"; }

# serve: starts the service, which members need. It must have a level.
serve() {
  mkdir -p /etc/holdfast
  printf '%s\n' '[reservoir]' 'mount = /dev/hugepages' '[level]' 'files = 1x2M' '[collect]' \
    'interval = 1' >/etc/holdfast/reservoir.conf
  holdfast reservoir serve --config /etc/holdfast/reservoir.conf >"$work/serve" 2>&1 &
  eventually 20 test -S /dev/hugepages/holdfast/socket || fail "the service has no socket"
}

# check_ready: all of the memory is ready and zero, in another file than $inode names, since pages of
# monitors are not used again. $inode names that one then.
check_ready() {
  [ "$(files ready) $(files leased) $(files filling)" = "1 0 0" ] ||
    fail "$(holdfast reservoir status --leases --mount /dev/hugepages)"
  local now
  now=$(stat -c %i "$(ready_file)")
  [ "$now" != "$inode" ] || fail "pages that a monitor had are ready again"
  inode=$now
  is_zero "$(ready_file)" || fail "the ready file is not zero"
}

# guest_files: creates $work/kernel and $work/initramfs of a guest that marks its memory and waits.
guest_files() {
  cp "$kernel" "$work/kernel"
  guest_tree "$work/root" "$here/guest.sh"
  guest_pack "$work/root" "$work/initramfs"
  chmod 644 "$work/kernel" "$work/initramfs"
}

# storage_daemon <disk> <socket>: starts a vhost-user backend, $daemon.
storage_daemon() {
  rm -f "$2"
  truncate -s 1M "$1"
  qemu-storage-daemon --blockdev "driver=file,node-name=disk,filename=$1" \
    --export "vhost-user-blk,id=export,node-name=disk,writable=on,num-queues=2,addr.type=unix,addr.path=$2" \
    >"$work/daemon" 2>&1 &
  daemon=$!
  eventually 20 test -S "$2" || fail "the storage daemon has no socket"
}
