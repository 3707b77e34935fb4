# The guest prints the size of its memory, fills it with a mark, waits for a line, and powers off.
grep MemTotal /proc/meminfo
# Assembled here, so that neither this file nor the initial file system contains it, but only memory
# that was written.
mark=$(printf '%s-%s' holdfast guest)
mount -o remount,size=80% /tmp
megabytes=$(($(sed -n 's/MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo) / 2048))
# One megabyte, since yes writes line by line. busybox's head has the unit m, not M.
yes "$mark-was-here" | head -c 1m >/tmp/mark
for _ in $(seq "$megabytes"); do cat /tmp/mark; done >/tmp/marks
echo "guest: wrote $(($(wc -c </tmp/marks) >> 20)) MiB"
read -r line
echo "guest: continues: $line"
