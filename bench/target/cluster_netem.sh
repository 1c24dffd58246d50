#!/bin/sh
# Distance between regions, made by the kernel inside one node's network namespace (docker-compose.cluster.yml).
#
# Every packet to another region's addresses waits half of the round trip that the matrix gives; the other half waits where
# the answer leaves.  Packets to the own region, to clients on the host and to the internet are not delayed.
#
#   run      lay the delays and stay, so that `measure` can be called, until the device is gone
#   measure  ping the first node of each other region, and print `region milliseconds`
#
# REGION is where this node stands, NETS lists `region=address/bits` with spaces, MATRIX is the file of round trips
# (scenarios/rtt.txt), NETEM=off lays none, DEVICE is the interface.
set -eu

MATRIX=${MATRIX:-/rtt.txt}
DEVICE=${DEVICE:-eth0}

# Half of the round trip to region $1, in milliseconds.
one_way() {
    awk -v from="$REGION" -v to="$1" '
        { sub(/#.*/, "") }
        NF == 0 { next }
        !count { count = split($0, name); next }
        $1 == from { for (i = 1; i <= count; i++) if (name[i] == to) { printf "%.3f\n", $(i + 1) / 2; found = 1 } }
        END { exit !found }
    ' "$MATRIX" || { echo "$MATRIX has no distance from $REGION to $1" >&2; return 1; }
}

lay() {
    tc qdisc del dev "$DEVICE" root 2>/dev/null || true
    [ "${NETEM:-on}" = on ] || { echo "no distance: NETEM is ${NETEM}"; return 0; }
    # Class 1 is for everything that is near.  HTB only sorts here: its rate is far above that of a virtual wire.
    tc qdisc add dev "$DEVICE" root handle 1: htb default 1
    tc class add dev "$DEVICE" parent 1: classid 1:1 htb rate 40gbit quantum 60000
    class=1
    for net in $NETS; do
        region=${net%%=*}
        [ "$region" = "$REGION" ] && continue
        class=$((class + 1))
        half=$(one_way "$region")
        tc class add dev "$DEVICE" parent 1: classid "1:$class" htb rate 40gbit quantum 60000
        # The default limit of 1000 packets would drop what 1000 packets/s times the delay let pile up.
        tc qdisc add dev "$DEVICE" parent "1:$class" handle "1$class:" netem delay "${half}ms" limit 100000
        tc filter add dev "$DEVICE" parent 1: protocol ip prio 1 u32 match ip dst "${net#*=}" flowid "1:$class"
        echo "$REGION to $region: ${half} ms one way"
    done
}

measure() {
    for net in $NETS; do
        region=${net%%=*}
        [ "$region" = "$REGION" ] && continue
        address=${net#*=}
        # The first node of a region has the address that ends in 11.  The least of five is the way itself.
        # BusyBox takes -i since 1.30, fractions as its sleep does.
        least=$(ping -c 5 -i 0.2 -W 2 -q "${address%.*}.11" | sed -n 's#.*= *\([0-9.]*\)/.*#\1#p')
        echo "$region ${least:-unreachable}"
    done
}

# A node that is started again gets another network namespace, in which nothing is laid.  In this one the device is gone
# then: the side-car ends, so that it is seen to be missing and is started in the new one.
stay() {
    while [ -e "/sys/class/net/$DEVICE" ]; do sleep 2; done
    echo "$DEVICE is gone: the node was started again" >&2
    exit 1
}

case "${1:-}" in
    # Not `lay && stay`, in which a tc that fails would not end the script.
    run) lay; stay ;;
    lay) lay ;;
    measure) measure ;;
    *) echo "usage: $0 run|lay|measure" >&2; exit 2 ;;
esac
