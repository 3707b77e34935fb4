# Watchdog, kill -9 and stop during a fill.

configure -- 2x16M
systemctl reload $service
first=$(property WatchdogTimestampMonotonic)
beats() { [ "$(property WatchdogTimestampMonotonic)" -gt "$first" ]; }
check "keep-alive messages arrive" soon 5 beats
sleep 3
check "and prevent a restart" [ "$(property NRestarts)" = 0 ]
pid=$(main)
kill -STOP "$pid"
restarted() { [ "$(property NRestarts)" -ge "$1" ] && is_state active; }
check "stopped by SIGSTOP it is killed and restarted" soon 15 restarted 1
check "by the watchdog" logged "Watchdog timeout"
check "the old process is gone" dead "$pid"
check "the new one reports its status" soon 10 says "ready: 2 of 2x16M"

# A file takes four seconds at this rate, so the checks see it in filling. The service restarts when
# the file `wait` is removed.
drop_in $service.service RestartSec=100ms \
  "ExecStartPre=/bin/sh -c 'while [ -e /run/holdfast/wait ]; do usleep 100000; done'"
configure 'rate = 8M' -- 2x16M 1x32M
restart
filling() { [ "$(sized filling 32)" = 1 ]; }
check "a fill is running" soon 20 filling
check "StatusText shows it" soon 2 says "filling 32M"
pid=$(main)
left=$(ls $reservoir/filling)
touch /run/holdfast/wait
kill -9 "$pid"
check "kill -9 during the fill leaves the file" soon 2 dead "$pid"
check "in filling" [ -e "$reservoir/filling/$left" ]
check "leasing works without the service" holdfast reservoir lease --size 16M --name meanwhile
check "which has not restarted yet" soon 5 is_state activating
configure -- 2x16M 1x32M
rm /run/holdfast/wait
check "Restart=on-failure restarts it" soon 15 restarted 1
check "the leftover is removed" soon 15 [ ! -e "$reservoir/filling/$left" ]
check "leased memory is replaced" soon 15 ready 2 16
check "the levels are full again" soon 20 ready 1 32
check "and filling is empty" soon 5 empty filling
check "the lease is recycled, beyond the level" holdfast reservoir recycle meanwhile

# A stop does not touch ready files, and is quick also during a fill.
configure 'rate = 8M' -- 2x16M 1x64M
systemctl stop $service
holdfast reservoir drain >/tmp/out 2>/tmp/error
restart
filling() { [ "$(sized filling 64)" = 1 ]; }
check "a long fill is running" soon 20 filling
before=$(ls $reservoir/ready)
check "after the others" ready 2 16
check "stop during the fill" systemctl stop $service
took=$(($(property InactiveEnterTimestampMonotonic) - $(property ActiveExitTimestampMonotonic)))
check "within two seconds, of $((took / 1000)) ms" [ $took -lt 2000000 ]
check "with success" [ "$(property Result) $(property ExecMainStatus)" = "success 0" ]
check "filling is empty" empty filling
check "the ready files are the same" [ "$before" = "$(ls $reservoir/ready)" ]
check "the pages of the others are free: 80" [ "$(free_pages)" = 80 ]
configure -- 2x16M 1x64M
check "a start continues" systemctl start $service
check "the fill" soon 20 ready 1 64
check "with the same ready files" [ "$before" = "$(cd $reservoir/ready && ls | grep -v ^64M)" ]
configure -- 2x16M
systemctl reload $service
rm $reservoir/ready/64M-*
