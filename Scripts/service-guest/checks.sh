# The checks inside the guest, which has 96 huge pages of 2 MiB. They compare what the program and
# the service manager report with the kernel's view. Each part leaves the service running, on two
# files of 16 MiB.

export SYSTEMD_COLORS=0 SYSTEMD_PAGER=
service=holdfast-reservoir
reservoir=/dev/hugepages/holdfast
problems=0
: >/tmp/out
: >/tmp/error

pass() { echo "PASS $*"; }
fail() {
  echo "FAIL $*"
  [ ! -s /tmp/out ] || sed 's/^/     | /' /tmp/out
  [ ! -s /tmp/error ] || sed 's/^/     ! /' /tmp/error
  echo "     | $(status)"
  find $reservoir -type f | sed 's/^/     | /'
  journalctl -b -n 10 -o short-monotonic --no-pager | sed 's/^/     > /'
  problems=$((problems + 1))
}

# check <what it shows> <command...>
check() {
  what=$1
  shift
  if "$@" >/tmp/out 2>/tmp/error; then pass "$what"; else fail "$what"; fi
}

refused() { ! "$@"; }

seconds() {
  read -r up idle </proc/uptime
  echo "${up%.*}"
}
stage() { echo "== $* ($(seconds) s)"; }

# soon <seconds> <command...>: whether the command succeeds within the time.
soon() {
  end=$(($(seconds) + $1))
  shift
  until "$@" >/tmp/out 2>/tmp/error; do
    [ "$(seconds)" -le $end ] || return 1
    usleep 200000
  done
}

# From the service manager: a property of the service, or of another unit.
property() { systemctl show -P "$1" "${2:-$service}"; }
status() { property StatusText; }
says() { status | grep -qF -- "$1"; }
main() { property MainPID; }
is_state() { [ "$(property ActiveState "${2:-$service}")" = "$1" ]; }
# logged <words> [priority]: whether the service's log contains them.
logged() { journalctl -b -q -o cat -u $service ${2:+-p $2..$2} | grep -qF -- "$1"; }
metrics() { wget -q -O - http://127.0.0.1:9816/metrics; }
measured() { metrics | grep -q -- "$1"; }

# From the kernel: the files of a size in MiB in a folder, all files in it, the free huge pages.
sized() { find $reservoir/"$1" -type f -size $(($2 << 20))c | wc -l; }
files() { find $reservoir/"$1" -type f | wc -l; }
ready() { [ "$(sized ready "$2")" = "$1" ]; }
empty() { [ "$(files "$1")" = 0 ]; }
free_pages() { sed -n 's/^HugePages_Free: *//p' /proc/meminfo; }
mode() { [ "$(stat -c '%a %U %G' "$1")" = "$2" ]; }
dead() { [ ! -d /proc/"$1" ] || grep -q '^State:.Z' /proc/"$1"/status; }

# configure <lines of [fill]...> -- <levels...>: writes the configuration.
configure() {
  {
    printf '[reservoir]\ninterval = 1\n[collect]\ninterval = 1\n'
    printf '[metrics]\nlisten = 127.0.0.1:9816\n'
    [ ! -e /tmp/metrics ] || cat /tmp/metrics
    echo '[fill]'
    while [ "$1" != -- ]; do
      echo "$1"
      shift
    done
    shift
    for level in "$@"; do printf '[level]\nfiles = %s\n' "$level"; done
  } >/etc/holdfast/reservoir.conf
}

# drop_in <unit> <lines...>: replaces the last one.
drop_in() {
  mkdir -p /etc/systemd/system/"$1".d
  unit=$1
  shift
  printf '%s\n' '[Service]' "$@" >/etc/systemd/system/"$unit".d/checks.conf
  systemctl daemon-reload
}

# The checks start units more often than the start limit allows.
restart() {
  systemctl reset-failed 2>/dev/null
  systemctl restart "${1:-$service}"
}

for part in setup service failures machines; do
  stage $part
  . /checks/$part.sh
done
echo "seconds since boot: $(seconds)"
if [ $problems = 0 ]; then echo "service-guest: all checks passed"; fi
