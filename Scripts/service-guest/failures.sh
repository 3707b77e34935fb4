# Watchdog, kill -9 and stop in the middle of a fill.

configure -- 2x16M
systemctl reload $service
first=$(property WatchdogTimestampMonotonic)
beats() { [ "$(property WatchdogTimestampMonotonic)" -gt "$first" ]; }
check "signs of life come" soon 5 beats
sleep 3
check "and keep it alive" [ "$(property NRestarts)" = 0 ]
pid=$(main)
kill -STOP "$pid"
restarted() { [ "$(property NRestarts)" -ge "$1" ] && is_state active; }
check "stopped by SIGSTOP it is killed and started again" soon 15 restarted 1
check "by the watchdog" logged "Watchdog timeout"
check "the old process is gone" dead "$pid"
check "the new one says how things are" soon 10 says "ready: 2 of 2x16M"

# A file takes four seconds at this rate, so it is in filling whenever one looks. The service comes back when
# it is let.
drop_in $service.service RestartSec=100ms \
  "ExecStartPre=/bin/sh -c 'while [ -e /run/holdfast/wait ]; do usleep 100000; done'"
configure 'rate = 8M' -- 2x16M 1x32M
restart
filling() { [ "$(sized filling 32)" = 1 ]; }
check "a fill is going on" soon 20 filling
check "StatusText tells it" soon 2 says "filling 32M"
pid=$(main)
left=$(ls $reservoir/filling)
touch /run/holdfast/wait
kill -9 "$pid"
check "kill -9 in its middle leaves the file" soon 2 dead "$pid"
check "in filling" [ -e "$reservoir/filling/$left" ]
check "without the service one can lease" holdfast reservoir lease --size 16M --name meanwhile
check "which is not back yet" soon 5 is_state activating
configure -- 2x16M 1x32M
rm /run/holdfast/wait
check "Restart=on-failure brings it back" soon 15 restarted 1
check "the leftover goes" soon 15 [ ! -e "$reservoir/filling/$left" ]
check "what was leased is made up for" soon 15 ready 2 16
check "the levels are full again" soon 20 ready 1 32
check "and nothing is in filling" soon 5 empty filling
check "recycled, what was leased is ready beside the level" holdfast reservoir recycle meanwhile

# What is ready is not touched by a stop, which is short also in the middle of a fill.
configure 'rate = 8M' -- 2x16M 1x64M
systemctl stop $service
holdfast reservoir drain >/tmp/out 2>/tmp/error
restart
filling() { [ "$(sized filling 64)" = 1 ]; }
check "a long fill is going on" soon 20 filling
before=$(ls $reservoir/ready)
check "after the others" ready 2 16
check "stop in its middle" systemctl stop $service
took=$(($(property InactiveEnterTimestampMonotonic) - $(property ActiveExitTimestampMonotonic)))
check "within two seconds, of $((took / 1000)) ms" [ $took -lt 2000000 ]
check "with success" [ "$(property Result) $(property ExecMainStatus)" = "success 0" ]
check "nothing is left in filling" empty filling
check "what was ready is" [ "$before" = "$(ls $reservoir/ready)" ]
check "the pages of the others are free: 80" [ "$(free_pages)" = 80 ]
configure -- 2x16M 1x64M
check "start goes on" systemctl start $service
check "where it was" soon 20 ready 1 64
check "with what was there" [ "$before" = "$(cd $reservoir/ready && ls | grep -v ^64M)" ]
configure -- 2x16M
systemctl reload $service
rm $reservoir/ready/64M-*
