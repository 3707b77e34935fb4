# The machine's part of Scripts/packages/prove. The scripts in the root folder source this.
cd /packages
export HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
log=/packages/log
reservoir=/dev/hugepages/holdfast
fail() { echo "FAIL $machine: $*"; [ ! -s $log ] || tail -n 30 $log; exit 1; }
# check <what is true> <command...>
check() {
  local what=$1
  shift
  "$@" >$log 2>&1 || fail "$what"
  echo "PASS $machine: $what"
}
not() { ! "$@"; }
# soon <command...>: within ten seconds.
soon() {
  for _ in $(seq 100); do
    ! "$@" || return 0
    sleep 0.1
  done
  return 1
}
# Whether files are the same ones as before: hugetlbfs has no write(2) that could mark them.
identity() { stat -c '%i %Y' "$@"; }
status() { holdfast reservoir status --mount /dev/hugepages --leases --format json; }
