# What the guest does: tells its memory, leaves a mark all over it, waits to be let go, powers off.
grep MemTotal /proc/meminfo
# Twice in the mark, never in this file nor in the initial file system: only in memory that was written to.
mark=$(printf '%s-%s' holdfast guest)
mount -o remount,size=80% /tmp
megabytes=$(($(sed -n 's/MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo) / 2048))
# A megabyte once, as yes writes line by line. busybox's head knows m, not M.
yes "$mark-was-here" | head -c 1m >/tmp/mark
for _ in $(seq "$megabytes"); do cat /tmp/mark; done >/tmp/marks
echo "guest: wrote $(($(wc -c </tmp/marks) >> 20)) MiB"
read -r line
echo "guest: goes on: $line"
