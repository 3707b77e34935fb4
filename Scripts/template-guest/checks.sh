# The guest prints a line every 100 ms: a number that grows, and a random value from the kernel's
# generator. It runs on until the machine is ended.
number=0
while :; do
  number=$((number + 1))
  read -r random </proc/sys/kernel/random/uuid
  echo "tick $number $random"
  sleep 0.1
done
