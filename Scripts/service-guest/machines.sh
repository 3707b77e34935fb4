# Leases of members of the group, of monitors under `holdfast run`, and of machines as units.

as() {
  user=$1
  shift
  /usr/bin/setpriv --reuid "$user" --regid "$user" --init-groups "$@"
}
uid=$(id -u member)
check "a member of the group leases" as member holdfast reservoir lease --size 16M --name hers
check "into a folder of her own" mode $reservoir/leased/"$uid" "700 member member"
check "and releases" as member holdfast reservoir release hers
check "the service replaces it" soon 15 ready 2 16
code=0
as stranger holdfast reservoir lease --size 16M --name his >/tmp/said 2>&1 || code=$?
cat /tmp/said
check "a stranger is refused with one line" [ "$code $(wc -l </tmp/said)" = "1 1" ]
check "and has no lease" empty leased

# Only the service collects orphans here.
mkfifo /run/machine.fifo
holdfast run -m 16M --name orphan -- qemu-system-x86_64 \
  -object 'memory-backend-file,mem-path={memory},share=on' 2>/dev/null &
runner=$!
check "a program runs on a lease" soon 10 [ -s /run/machine.pid ]
machine=$(cat /run/machine.pid)
inode=$(stat -c %i $reservoir/leased/0/orphan.run)
is_ready() { ls -i $reservoir/ready | grep -q "^ *$inode "; }
kill -9 $runner
sleep 2
check "after kill -9 of holdfast it continues" [ -e $reservoir/leased/0/orphan.run ]
kill -9 "$machine"
check "after kill -9 of the program the service recycles the memory" soon 10 is_ready
check "and logs that" soon 5 logged "collected: 1 ready again"
check "no lease is left" empty leased

# As packaged, the service takes up to a minute to collect, so units collect their leftovers
# themselves.
sed -i '/^\[collect\]/{n;d}' /etc/holdfast/reservoir.conf
restart
unit=holdfast-vm@web.service
mkdir -p /etc/holdfast/vm
printf 'MEMORY=16M\nDISK=/var/lib/holdfast/web.qcow2\n' >/etc/holdfast/vm/web.env
lease=$reservoir/leased/0/web.run
begin() { rm -f /run/machine.pid /run/machine.signals; }
running() { [ -s /run/machine.pid ] && [ -e $lease ] && [ "$(cat /run/machine.pid)" != "$machine" ]; }
begin
check "a machine's unit starts" systemctl start $unit
check "and has a lease" soon 15 running
cat >/tmp/expected <<END
-name
web
-nodefaults
-display
none
-machine
q35,accel=kvm,memory-backend=ram
-cpu
host
-m
16M
-object
memory-backend-file,id=ram,mem-path=$lease,size=16M,share=on
-drive
file=/var/lib/holdfast/web.qcow2,if=virtio
-serial
stdio
END
check "QEMU's arguments are the unit's" cmp /tmp/expected /run/machine.arguments
machine=$(cat /run/machine.pid)
check "it has the file open" [ "$(readlink /proc/"$machine"/fd/8)" = $lease ]
inode=$(stat -c %i $lease)
check "stop" systemctl stop $unit
check "ends it by one SIGTERM" [ "$(cat /run/machine.signals)" = TERM ]
check "with success" [ "$(property Result $unit) $(property ExecMainStatus $unit)" = "success 0" ]
check "its memory is ready again" is_ready
check "and the lease has ended" empty leased

accounted() { [ "$(files leased)" = 1 ] && [ "$(free_pages)" = $((96 - 8 * $(files .))) ]; }

# killed <what> <processes...>: the unit starts another machine on a lease of the same name.
killed() {
  what=$1
  shift
  kill -9 "$@"
  check "kill -9 of $what: a new machine runs, on a lease of that name" soon 30 running
  check "the old one has ended" dead "$machine"
  check "after one restart" [ "$(property NRestarts $unit)" = 1 ]
  machine=$(cat /run/machine.pid)
  check "all huge pages in use are ready or leased" soon 10 accounted
  systemctl stop $unit
  check "after a stop all memory is ready" [ "$(files .)" = "$(files ready)" ]
}
for what in "holdfast alone" "the machine alone" "both"; do
  systemctl reset-failed
  begin
  systemctl start $unit
  soon 15 running
  machine=$(cat /run/machine.pid)
  case $what in
  holdfast*) killed "$what" "$(property MainPID $unit)" ;;
  the*) killed "$what" "$machine" ;;
  *) killed "$what" "$(property MainPID $unit)" "$machine" ;;
  esac
done
