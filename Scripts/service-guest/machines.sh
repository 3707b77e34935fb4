# Leases of members of the group, of monitors under `holdfast run`, and of machines as units.

as() {
  user=$1
  shift
  /usr/bin/setpriv --reuid "$user" --regid "$user" --init-groups "$@"
}
uid=$(id -u member)
check "a member of the group leases" as member holdfast reservoir lease --size 16M --name hers
check "into a folder that only root writes to" mode $reservoir/leased/"$uid" "710 root holdfast"
check "a file of her own" [ "$(stat -c '%a %U' $reservoir/leased/"$uid"/hers)" = "600 member" ]
check "which she opens by its path" as member sh -c ": <>$reservoir/leased/$uid/hers"
check "but cannot rename" refused as member mv $reservoir/leased/"$uid"/hers /dev/hugepages/his
check "and releases" as member holdfast reservoir release hers
check "the service replaces it" soon 15 ready 2 16
code=0
as stranger holdfast reservoir lease --size 16M --name his >/tmp/said 2>&1 || code=$?
cat /tmp/said
check "a stranger is refused with one line" [ "$code $(wc -l </tmp/said)" = "1 1" ]
check "and has no lease" empty leased
systemctl stop $service.socket $service
code=0
as member holdfast reservoir lease --size 16M --name hers >/tmp/said 2>&1 || code=$?
cat /tmp/said
check "without the service a member is refused with one line" [ "$code $(wc -l </tmp/said)" = "1 1" ]
systemctl start $service.socket $service

# Only the service collects orphans here.
# Nothing serves these devices here, so the sandbox's answer differs from the kernel's.
[ -e /dev/kvm ] || mknod -m 660 /dev/kvm c 10 232
chgrp kvm /dev/kvm
mknod -m 666 /dev/other c 10 229
mkdir -m 777 /run/machine
mkfifo -m 666 /run/machine/fifo
holdfast run -m 16M --name orphan -- qemu-system-x86_64 \
  -object 'memory-backend-file,mem-path={memory},share=on' 2>/dev/null &
runner=$!
check "a program runs on a lease" soon 10 [ -s /run/machine/pid ]
machine=$(cat /run/machine/pid)
inode=$(stat -c %i $reservoir/leased/0/orphan.run)
# The level is reached, perhaps with files that came back beyond it.
full() { [ "$(sized ready 16)" -ge 2 ]; }
is_ready() { ls -i $reservoir/ready | grep -q "^ *$inode "; }
kill -9 $runner
sleep 2
check "after kill -9 of holdfast it continues" [ -e $reservoir/leased/0/orphan.run ]
kill -9 "$machine"
check "after kill -9 of the program the service collects the lease" soon 10 empty leased
check "and logs that" soon 5 logged ", 1 returned to the host"
check "and fills its level with another file" soon 15 full
check "since pages that a monitor had are not used again" refused is_ready

# As packaged, the service takes up to a minute to collect, so units collect their leftovers
# themselves.
sed -i '/^\[collect\]/{n;d}' /etc/holdfast/reservoir.conf
restart
mkdir -p /etc/holdfast/vm /var/lib/holdfast/vm/web
disk=/var/lib/holdfast/vm/web/disk.qcow2
touch $disk
chmod 600 $disk
printf 'MEMORY=16M\nDISK=%s\n' $disk >/etc/holdfast/vm/web.env
drop_in holdfast-vm@.service ReadWritePaths=/run/machine
unit=holdfast-vm@web.service
begin() { find /run/machine -type f -exec rm {} +; }
running() {
  [ -s /run/machine/pid ] && [ "$(cat /run/machine/pid)" != "$machine" ] &&
    lease=$(find $reservoir/leased -name web.run) && [ -n "$lease" ]
}
begin
check "a machine's unit starts" systemctl start $unit
check "and has a lease" soon 15 running
cat >/tmp/expected <<END
-name
web
-nodefaults
-display
none
-sandbox
on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny
-machine
q35,accel=kvm,memory-backend=ram
-cpu
host
-m
16M
-object
memory-backend-file,id=ram,mem-path=$lease,size=16M,share=on
-drive
file=$disk,if=virtio
-serial
stdio
END
check "QEMU's arguments are the unit's" cmp /tmp/expected /run/machine/arguments
machine=$(cat /run/machine/pid)
# The service has opened the inherited one, in its own mount namespace.
open_twice() {
  ls -l /proc/"$machine"/fd
  [ "$(stat -L -c %i /proc/"$machine"/fd/* | grep -cx "$(stat -c %i "$lease")")" = 2 ]
}
check "it has the file open, besides the inherited descriptor" open_twice
user=$(stat -c %u /proc/"$machine")
check "as a user whom systemd has chosen: $user" [ "$user" -ge 61184 -a "$user" -le 65519 ]
check "who owns the lease" [ "$(stat -c '%a %u' "$lease")" = "600 $user" ]
check "which another member cannot open" refused as member sh -c ": <>$lease"
for line in CapInh:.0000000000000000 CapPrm:.0000000000000000 CapEff:.0000000000000000 \
  CapBnd:.0000000000000000 CapAmb:.0000000000000000 NoNewPrivs:.1 Seccomp:.2; do
  check "its sandbox has ${line%:*}" grep -qx "$line" /proc/"$machine"/status
done
check "QEMU may add a filter of its own" sh -c "systemctl show -P SystemCallFilter $unit | grep -qw seccomp"
opened() { cat /run/machine/opened; grep -qx "$1: $2" /run/machine/opened; }
check "it may use /dev/kvm" opened /dev/kvm "No such device"
check "and no other device" opened /dev/other "Operation not permitted"
check "its disk is its own" opened $disk opened
pid=$machine
for point in / /proc/sys /sys; do check "$point is read-only for it" mount_is $point ro; done
check "it has no network but a loopback of its own" \
  [ "$(readlink /proc/"$machine"/ns/net)" != "$(readlink /proc/1/ns/net)" ]
inode=$(stat -c %i "$lease")
check "stop" systemctl stop $unit
check "ends it by one SIGTERM" [ "$(cat /run/machine/signals)" = TERM ]
check "with success" [ "$(property Result $unit) $(property ExecMainStatus $unit)" = "success 0" ]
check "and the lease has ended" empty leased
check "its memory is not used again" refused is_ready
check "the service fills its level" soon 15 full

accounted() { [ "$(files leased)" = "$1" ] && [ "$(free_pages)" = $((96 - 8 * $(files .))) ]; }

# killed <what> <processes...>: the unit starts another machine on a lease of the same name.
killed() {
  what=$1
  shift
  kill -9 "$@"
  check "kill -9 of $what: a new machine runs, on a lease of that name" soon 30 running
  check "the old one has ended" dead "$machine"
  check "after one restart" [ "$(property NRestarts $unit)" = 1 ]
  machine=$(cat /run/machine/pid)
  check "all huge pages in use are ready or leased" soon 10 accounted 1
  systemctl stop $unit
  check "after a stop no lease is left" soon 10 accounted 0
}
for what in "holdfast alone" "the machine alone" "both"; do
  systemctl reset-failed
  begin
  systemctl start $unit
  soon 15 running
  machine=$(cat /run/machine/pid)
  case $what in
  holdfast*) killed "$what" "$(property MainPID $unit)" ;;
  the*) killed "$what" "$machine" ;;
  *) killed "$what" "$(property MainPID $unit)" "$machine" ;;
  esac
done

# An administrator mounts hugetlbfs anew under a running service.
pid=$(main)
device() { "$@" stat -c %d /dev/hugepages; }
before=$(device)
# The kernel gives the number to no other file system as long as this one is in use.
exec 6</dev/hugepages
umount -l /dev/hugepages
check "hugetlbfs is mounted again" systemctl start dev-hugepages.mount
check "as another one" [ "$(device)" != "$before" ]
exec 6<&-
# The service ends when it finds its folders gone, and is started again.
systemctl restart holdfast-reservoir-init
check "where the service fills its level" soon 30 full
pid=$(main)
check "which it has in its sandbox" [ "$(device inside)" = "$(device)" ]
