# Reload, what the hardening leaves, metrics, log.

configure -- 2x16M 1x32M
check "reload with another level" systemctl reload $service
check "it is filled" soon 20 ready 1 32
check "and StatusText tells it" soon 5 says "2 of 2x16M, 1 of 1x32M"
configure 'threads = many' -- 1x8M
check "reload with a broken file" systemctl reload $service
check "file and line are logged as an error" \
  soon 5 logged "the old configuration stays: /etc/holdfast/reservoir.conf:8: threads = many" 3
sleep 2
check "it stays active" is_state active
check "with the old levels" says "2 of 2x16M, 1 of 1x32M"
check "nothing of the new ones is there" ready 0 8
check "a failed reload is counted" measured 'failures_total{operation="reload",code="configuration"} 1'
configure -- 2x16M
systemctl reload $service
check "what is beyond a level stays" ready 1 32
holdfast reservoir drain >/tmp/out 2>/tmp/error
check "drained, the levels come back without it" soon 20 ready 2 16
check "and their pages alone are taken" [ "$(free_pages)" = 80 ]

pid=$(main)
# CHOWN, DAC_OVERRIDE, FOWNER and LEASE.
for field in CapPrm CapEff CapBnd; do
  check "$field has the four capabilities" grep -qx "$field:.000000001000000b" /proc/$pid/status
done
check "NoNewPrivs is set" grep -qx 'NoNewPrivs:.1' /proc/"$pid"/status
check "system calls are filtered" grep -qx 'Seccomp:.2' /proc/"$pid"/status
# mount <point> <ro or rw>: as the service has it.
mount_is() { awk -v p="$1" '$5 == p { o = $6 } END { print o }' /proc/$pid/mountinfo | grep -q "^$2"; }
for point in / /proc/sys /sys /sys/fs/cgroup; do
  check "$point is read-only for it" mount_is $point ro
done
check "/dev/hugepages is not" mount_is /dev/hugepages rw
# nsenter's processes have root's rights, so only the mounts can refuse.
inside() { nsenter -t "$pid" -m "$@"; }
for folder in /etc/holdfast /var/lib /usr /run /home; do
  check "nothing can be made in $folder" refused inside touch $folder/x
done
for file in /proc/sys/vm/nr_hugepages /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages; do
  check "$file cannot be written" refused inside sh -c "echo 96 >$file"
done
check "only in /run/holdfast" inside touch /run/holdfast/x
check "its /tmp is its own" refused inside ls /tmp/out
check "its files are its own, by umask" grep -qx 'Umask:.0077' /proc/"$pid"/status
check "it goes first when memory is short" grep -qx 500 /proc/"$pid"/oom_score_adj

# thread <name>: the nice value and the policy of the thread of that name.
thread() {
  for task in /proc/"$(main)"/task/*; do
    if grep -qx "$1" $task/comm; then sed 's/.*) //' $task/stat | cut -d' ' -f17,39; fi
  done
}
thread_is() { [ "$(thread "$1")" = "$2" ]; }
check "the keeper's thread is at nice 19" thread_is holdfast-keeper "19 0"
check "the metrics' thread is not" thread_is holdfast-metric "0 0"

check "metrics answer over loopback though IPAddressDeny=any" measured '^holdfast_reservoir_up 1$'
check "and tell what the file system has" measured '^holdfast_reservoir_files{.*state="ready".*} 2$'
# Another address of this host, asked from here and from the service's cgroup.
ip address add 192.0.2.1/32 dev lo
check "another address can be reached from here" ping -c 1 -W 2 192.0.2.1
from_cgroup() (
  sh -c 'echo $PPID' >/sys/fs/cgroup/system.slice/$service.service/cgroup.procs
  "$@"
)
check "loopback can from the service's cgroup" from_cgroup ping -c 1 -W 2 127.0.0.1
check "the other address cannot" refused from_cgroup ping -c 1 -W 2 192.0.2.1
check "systemd-analyze security: exposure of at most 2.5" \
  systemd-analyze security --no-pager --threshold=25 $service.service
tail -1 /tmp/out

# The libraries' threads may want rights that root has and the service has not.
check "nothing but the service's own lines is in the log" refused logged "Failed to"
# The journal knows warnings and notices by the priorities that lines begin with.
check "notices are notices in the journal" logged "keeping $reservoir" 5
check "other lines are below them" logged "made ready in" 6

# A textfile, in a folder that a drop-in opens.
textfile=/var/lib/prometheus/node-exporter/holdfast.prom
mkdir -p ${textfile%/*}
printf 'textfile = %s\ninterval = 1\n' $textfile >/tmp/metrics
configure -- 2x16M
sed -i '1a priority = idle' /etc/holdfast/reservoir.conf
restart
check "with priority = idle the keeper's policy is SCHED_IDLE, RestrictRealtime or not" \
  soon 5 thread_is holdfast-keeper "0 5"
check "without a drop-in the textfile is refused and told as a warning" \
  soon 5 logged "cannot write the metrics to $textfile" 4
check "which holds nothing up" soon 10 says "ready: 2 of 2x16M"
# What the failures are checked with comes along, as each start takes its time here.
drop_in $service.service "ReadWritePaths=${textfile%/*}" WatchdogSec=2s RestartSec=100ms
restart
check "with ReadWritePaths it is written" soon 5 grep -qx 'holdfast_reservoir_up 1' $textfile
check "for all to read" mode $textfile "644 root root"
before=$(stat -c %i $textfile)
is_new() { [ "$(stat -c %i $textfile)" != "$before" ]; }
check "and replaced" soon 5 is_new
rm /tmp/metrics
