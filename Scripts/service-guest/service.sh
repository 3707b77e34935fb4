# Reload, rights under the hardening, metrics, log.

configure -- 2x16M 1x32M
check "reload with another level" systemctl reload $service
check "it is filled" soon 20 ready 1 32
check "and StatusText shows it" soon 5 says "2 of 2x16M, 1 of 1x32M"
configure 'threads = many' -- 1x8M
check "reload with a broken file" systemctl reload $service
check "file and line are logged as an error" \
  soon 5 logged "the old configuration remains: /etc/holdfast/reservoir.conf:8: threads = many" 3
sleep 2
check "it stays active" is_state active
check "with the old levels" says "2 of 2x16M, 1 of 1x32M"
check "without the new ones" ready 0 8
check "a failed reload is counted" measured 'failures_total{operation="reload",code="configuration"} 1'
configure -- 2x16M
systemctl reload $service
check "files beyond a level stay" ready 1 32
holdfast reservoir drain >/tmp/out 2>/tmp/error
check "after drain the levels are filled again without them" soon 20 ready 2 16
check "and only their pages are in use" [ "$(free_pages)" = 80 ]

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
# Processes of nsenter have all of root's rights, so only the mounts can refuse.
inside() { nsenter -t "$pid" -m "$@"; }
for folder in /etc/holdfast /var/lib /usr /run /home; do
  check "no file can be created in $folder" refused inside touch $folder/x
done
for file in /proc/sys/vm/nr_hugepages /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages; do
  check "$file cannot be written" refused inside sh -c "echo 96 >$file"
done
check "but in /run/holdfast one can" inside touch /run/holdfast/x
check "it has a private /tmp" refused inside ls /tmp/out
check "its files are private, by umask" grep -qx 'Umask:.0077' /proc/"$pid"/status
check "the OOM killer prefers it" grep -qx 500 /proc/"$pid"/oom_score_adj

# thread <name>: the nice value and the policy of the thread of that name.
thread() {
  for task in /proc/"$(main)"/task/*; do
    if grep -qx "$1" $task/comm; then sed 's/.*) //' $task/stat | cut -d' ' -f17,39; fi
  done
}
thread_is() { [ "$(thread "$1")" = "$2" ]; }
check "the working thread has nice 19" thread_is holdfast-work "19 0"
check "the metrics thread does not" thread_is holdfast-metric "0 0"

check "metrics are served over loopback despite IPAddressDeny=any" measured '^holdfast_reservoir_up 1$'
check "and count the files" measured '^holdfast_reservoir_files{.*state="ready".*} 2$'
# Another address of this host, from here and from the service's cgroup.
ip address add 192.0.2.1/32 dev lo
check "another address can be reached from here" ping -c 1 -W 2 192.0.2.1
from_cgroup() (
  sh -c 'echo $PPID' >/sys/fs/cgroup/system.slice/$service.service/cgroup.procs
  "$@"
)
check "loopback can be reached from the service's cgroup" from_cgroup ping -c 1 -W 2 127.0.0.1
check "the other address cannot" refused from_cgroup ping -c 1 -W 2 192.0.2.1
check "systemd-analyze security: exposure of at most 2.5" \
  systemd-analyze security --no-pager --threshold=25 $service.service
tail -1 /tmp/out

# Library threads may need rights that root has and the service lacks.
check "the log has only the service's own lines" refused logged "Failed to"
# The journal takes the priority from the beginning of a line.
check "notices are notices in the journal" logged "serving $reservoir" 5
check "other lines have a lower priority" logged "made ready in" 6

# A textfile, in a folder that a drop-in opens.
textfile=/var/lib/prometheus/node-exporter/holdfast.prom
mkdir -p ${textfile%/*}
printf 'textfile = %s\ninterval = 1\n' $textfile >/tmp/metrics
configure -- 2x16M
sed -i '1a priority = idle' /etc/holdfast/reservoir.conf
restart
check "with priority = idle the working thread has SCHED_IDLE, despite RestrictRealtime" \
  soon 5 thread_is holdfast-work "0 5"
check "without a drop-in the textfile is refused, which is a warning" \
  soon 5 logged "cannot write the metrics to $textfile" 4
check "and the service continues" soon 10 says "ready: 2 of 2x16M"
# This includes the settings for the checks of failures, since each start takes long here.
drop_in $service.service "ReadWritePaths=${textfile%/*}" WatchdogSec=2s RestartSec=100ms
restart
check "with ReadWritePaths it is written" soon 5 grep -qx 'holdfast_reservoir_up 1' $textfile
check "readable for all users" mode $textfile "644 root root"
before=$(stat -c %i $textfile)
is_new() { [ "$(stat -c %i $textfile)" != "$before" ]; }
check "and replaced" soon 5 is_new
rm /tmp/metrics
