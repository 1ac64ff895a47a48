package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"tsrun/pipeline/master"
	"tsrun/pipeline/xdp"
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
		if o.Run.Recipe.Recipe.Trigger.PastKernel() {
			found = append(found, pastKernel(n.Master, n.Ports.Trigger))
		}
		return append(append(found, keys(o)...), ports(ctx, o)...)
	}
	address.Measured += " is another PC: this one may be that of a slave"
	found = append(found, address)
	for _, port := range []struct {
		name   string
		number int
	}{{"status", n.Ports.Status}, {"trigger", n.Ports.Trigger}, {"files", n.Ports.Files}} {
		found = append(found, reach(ctx, ips[0].String(), port.name, port.number))
	}
	if o.Run.Recipe.Recipe.Trigger.Datagrams() {
		found = append(found, reachUDP(ctx, ips[0].String(), udpTrigger, n.Ports.Trigger, found[1]))
	}
	if o.Run.Recipe.Recipe.Trigger.PastKernel() {
		found = append(found, pastKernel(ips[0].String(), n.Ports.Trigger))
	}
	if o.Run.Recipe.Recipe.Clock.Source != "none" {
		found = append(found, reachUDP(ctx, ips[0].String(), udpClock, n.Ports.Clock, found[1]))
	}
	return found
}

// pastKernel asks for datagrams of a master past the kernel's network, by doing all that
// this takes but putting the program on the interface.
func pastKernel(host string, port int) Finding {
	f := Finding{About: "network", What: "trigger.fast: xdp", State: Good, Wanted: "granted", Why: "datagrams come past the kernel's network, and without it by UDP"}
	conn, err := net.Dial("udp", net.JoinHostPort(host, strconv.Itoa(port)))
	at := ""
	if err == nil {
		defer conn.Close()
		local, remote := conn.LocalAddr().(*net.UDPAddr), conn.RemoteAddr().(*net.UDPAddr)
		at, err = xdp.Try(local.AddrPort(), remote.AddrPort())
	}
	var refused *xdp.Refusal
	switch {
	case err == nil:
		f.Measured = "granted, at " + at
	case xdp.Loopback(err):
		f.Measured = "not needed: nodes of the master's own PC have datagrams by UDP"
	default:
		f.State, f.Measured = Notable, err.Error()
		if errors.As(err, &refused) {
			f.Do = refused.Remedy
		}
	}
	return f
}

// keys looks at what this master shows and checks, where the recipe wants TLS.
func keys(o Options) []Finding {
	if !o.Run.Recipe.Recipe.Network.Secured() || o.Run.Secure == nil {
		return nil
	}
	run := o.Run
	if err := run.Secure(&run); err != nil {
		return []Finding{refusal("network", "keys", err)}
	}
	return []Finding{{About: "network", What: "keys", State: Good, Measured: "this PC has the keys of a master, at " + run.Keys}}
}

// udpWait is how long an answer of a UDP port is waited for.
const udpWait = 500 * time.Millisecond

// udpPort is what a UDP port of the master is for.
type udpPort struct{ name, why, without string }

var (
	udpClock   = udpPort{"network.ports.clock", "a slave asks there for the master's time", "clock.source: none"}
	udpTrigger = udpPort{"network.ports.trigger by UDP", "with trigger.fast orders come from there as datagrams, too", "trigger.fast: off"}
)

// reachUDP sends a packet to a UDP port of the master. A PC on which nobody listens says
// so; a tsrun that runs there answers its own nodes alone. status is what came of its
// status port.
func reachUDP(ctx context.Context, host string, of udpPort, port int, status Finding) Finding {
	f := Finding{About: "network", What: of.name, State: Good, Wanted: "reached", Why: of.why}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "udp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err == nil {
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(udpWait)) // of a socket that is open
		if _, err = conn.Write([]byte("tsrun doctor")); err == nil {
			_, err = conn.Read(make([]byte, 1))
		}
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		f.Measured = "the PC is reached; no tsrun runs there now"
	case err == nil, errors.Is(err, os.ErrDeadlineExceeded) && strings.HasPrefix(status.Measured, reached):
		f.Measured = "no word against it, as of a tsrun that runs and answers its own nodes alone"
	default:
		f.State, f.Measured = Notable, fmt.Sprintf("UDP packets to port %d are lost on their way: %v", port, err)
		f.Do = fmt.Sprintf("open UDP port %d in the firewalls between, or write %s", port, of.without)
	}
	return f
}

// reached begins what is measured of a port at which somebody listens.
const reached = "reached, "

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
		f.Measured = fmt.Sprintf(reached+"round trip %v", trip)
	case errors.Is(err, syscall.ECONNREFUSED):
		f.Measured = fmt.Sprintf("the PC is reached, round trip %v; no tsrun runs there now", trip)
	default:
		f.State, f.Measured = Notable, err.Error()
		f.Do = fmt.Sprintf("open TCP port %d in the firewalls between, and ping %s", port, host)
	}
	return f
}
