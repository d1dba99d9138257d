# Two hosts made of network namespaces, each with an address and a name of its own, and a cable
# between them; on each a rank of a program under Open MPI's mpirun.
#
#   two_hosts.sh check               whether this can be done here: needs root, iproute2, mpirun
#   two_hosts.sh run FOLDER PROGRAM ARGUMENT...
#
# DELAY=10ms delays every packet (needs netem). CUT=FILE cuts the cable when the file is there. When all
# is over, FOLDER/sent has the bytes that each host sent, FOLDER/after the seconds from the cut to the end.
set -eu
one=dk-one-$$ two=dk-two-$$
clean() {
  for host in $one $two; do
    # What a cut left behind.
    ip netns pids $host 2>/dev/null | xargs -r kill -9 2>/dev/null || true
    ip netns del $host 2>/dev/null || true
  done
  rm -rf "${scratch-}"
}
trap clean EXIT
ip netns add $one
ip netns add $two
ip link add cable netns $one type veth peer name cable netns $two
number=1
for host in $one $two; do
  ip -n $host addr add 10.77.0.$number/24 dev cable
  ip -n $host link set lo up
  ip -n $host link set cable up
  number=$((number + 1))
done
if [ -n "${DELAY-}" ]; then
  for host in $one $two; do ip netns exec $host tc qdisc add dev cable root netem delay "$DELAY"; done
fi
[ "$1" = run ] || {
  mpirun --version >/dev/null
  exit 0
}
folder=$2
shift 2

# What mpirun calls to start its daemon on the other host, in place of ssh.
scratch=$(mktemp -d)
cat >"$scratch/agent" <<EOF
#!/bin/sh
shift
exec ip netns exec $two unshare --uts sh -c "hostname two; \$*"
EOF
chmod +x "$scratch/agent"
cut() {
  while [ ! -e "$CUT" ]; do sleep 0.01; done
  ip -n $one link set cable down
  date +%s.%N >"$scratch/cut"
}
if [ -n "${CUT-}" ]; then cut & fi
status=0
ip netns exec $one unshare --uts sh -c 'hostname one; exec "$@"' sh \
  timeout -k 1 60 mpirun --allow-run-as-root --mca plm_rsh_agent "$scratch/agent" --mca btl self,tcp \
  --mca oob_tcp_keepalive_time 2 --mca oob_tcp_keepalive_intvl 1 --mca oob_tcp_keepalive_probes 2 \
  --mca btl_tcp_if_include 10.77.0.0/24 --mca oob_tcp_if_include 10.77.0.0/24 \
  --host 10.77.0.1:1,10.77.0.2:1 -n 2 "$@" || status=$?
if [ -n "${CUT-}" ]; then
  # The ranks of both hosts, whatever mpirun knows of the other one.
  running() {
    for pid in $(ip netns pids $two); do cat /proc/"$pid"/comm 2>/dev/null || true; done
  }
  while running | grep -q '^diffkit$'; do sleep 0.01; done
  echo "$(cat "$scratch/cut") $(date +%s.%N)" | awk '{ print $2 - $1 }' >"$folder/after"
fi
for host in $one $two; do
  ip netns exec $host cat /sys/class/net/cable/statistics/tx_bytes 2>/dev/null ||
    ip -n $host -s -j link show cable | sed 's/.*"tx":{"bytes":\([0-9]*\).*/\1/'
done >"$folder/sent"
exit $status
