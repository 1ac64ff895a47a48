package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
	"time"

	"tsrun/pipeline/master"
)

const (
	dialTimeout = 2 * time.Second
	// leastMTU is what a network takes without cutting: IPv6 asks for it.
	leastMTU = 1280
)

// network looks at the ports of the recipe: whether this PC can have them where it is
// the master's, and whether they are reached where it is another.
func network(ctx context.Context, o Options) (found []Finding) {
	if o.Run.Recipe == nil {
		return nil
	}
	n := o.Run.Recipe.Recipe.Network
	address := Finding{About: "network", What: "network.master", State: Good, Measured: n.Master}
	ips, err := net.DefaultResolver.LookupIP(ctx, "ip", n.Master)
	if err != nil || len(ips) == 0 {
		address.State, address.Measured, address.Do = Refused, fmt.Sprintf("%s: %v", n.Master, err), "write an address of the master's PC, or make the name known here"
		return append(found, address)
	}
	if here := interfaceOf(ips[0]); here != nil {
		address.Measured += " is this PC, at " + here.Name
		found = append(found, address, mtu(here))
		if here.Flags&net.FlagLoopback == 0 {
			found = append(found, stamps(here.Name))
		}
		return append(found, ports(ctx, o)...)
	}
	address.Measured += " is another PC: this one may be that of a slave"
	found = append(found, address)
	for _, port := range []struct {
		name   string
		number int
	}{{"status", n.Ports.Status}, {"trigger", n.Ports.Trigger}, {"files", n.Ports.Files}} {
		found = append(found, reach(ctx, ips[0].String(), port.name, port.number))
	}
	return found
}

func mtu(i *net.Interface) Finding {
	f := Finding{About: "network", What: "MTU of " + i.Name, State: Good, Measured: strconv.Itoa(i.MTU), Wanted: fmt.Sprintf("at least %d", leastMTU), Why: "smaller packets are cut on their way"}
	if i.MTU < leastMTU {
		f.State, f.Do = Notable, "ip link set "+i.Name+" mtu 1500, as root"
	}
	return f
}

// ports opens the ports that a master opens, and closes them.
func ports(ctx context.Context, o Options) (found []Finding) {
	for port, err := range master.TryPorts(ctx, o.Run.Recipe.Recipe) {
		f := Finding{About: "network", What: "network.ports." + port.Name, State: Good, Measured: port.Address + " is free"}
		if err != nil {
			f = refusal("network", f.What, err)
		}
		found = append(found, f)
	}
	return found
}

// reach connects to a port of the master. No tsrun need run there: a PC that says so
// at once is reached.
func reach(ctx context.Context, host, name string, port int) Finding {
	f := Finding{About: "network", What: "network.ports." + name, State: Good, Wanted: "reached", Why: "a slave dials it"}
	dialer := net.Dialer{Timeout: dialTimeout}
	began := time.Now()
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	trip := time.Since(began).Round(time.Microsecond)
	switch {
	case err == nil:
		conn.Close()
		f.Measured = fmt.Sprintf("reached, round trip %v", trip)
	case errors.Is(err, syscall.ECONNREFUSED):
		f.Measured = fmt.Sprintf("the PC is reached, round trip %v; no tsrun runs there now", trip)
	default:
		f.State, f.Measured = Notable, err.Error()
		f.Do = fmt.Sprintf("open TCP port %d in the firewalls between, and ping %s", port, host)
	}
	return f
}
