package master

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"strconv"
	"strings"
	"syscall"

	"tsrun/pipeline/clock"
	"tsrun/pipeline/recipe"
	"tsrun/sdk"
)

func address(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

// asReached is the master's host as it is written on another PC: the interface behind an
// address of IPv6 is that PC's own.
func asReached(host string) string {
	if ip, _, found := strings.Cut(host, "%"); found {
		return ip + "%INTERFACE"
	}
	return host
}

// listenFailure says which of the recipe's ports could not be had.
func listenFailure(port string, err error) error {
	var unknown *net.DNSError
	f := &sdk.Failure{Code: "port", Field: "network.ports." + port,
		Hint: "set network.ports." + port + " to a port that this user may take, and network.master to an address of this PC"}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		f.Hint = "it may be another tsrun; this port is network.ports." + port
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		f.Field, f.Hint = "network.master", "network.master must be an address of this PC, as the other PCs reach it"
	case errors.As(err, &unknown):
		f.Field, f.Hint = "network.master", "network.master must be an address of this PC, or a name that this PC knows, as the other PCs reach it"
	}
	f.Message = fmt.Sprintf("open the %s port: %v", port, err)
	var known *sdk.Failure
	if errors.As(err, &known) {
		f.Message, f.Code = "open the "+port+" port: "+known.Message, known.Code
	}
	return f
}

// Port is one that a master listens on.
type Port struct{ Name, Address string }

// TryPorts opens each port of a recipe and closes it, and says of which a run would be
// refused, and why.
func TryPorts(ctx context.Context, r *recipe.Recipe) iter.Seq2[Port, error] {
	n := r.Network
	return func(yield func(Port, error) bool) {
		for _, p := range []struct {
			name   string
			number int
		}{{"trigger", n.Ports.Trigger}, {"status", n.Ports.Status}, {"files", n.Ports.Files}} {
			port := Port{p.name, address(n.Master, p.number)}
			var config net.ListenConfig
			l, err := config.Listen(ctx, "tcp", port.Address)
			if err != nil {
				err = listenFailure(p.name, err)
			} else {
				l.Close()
			}
			if !yield(port, err) {
				return
			}
		}
		if r.Trigger.Datagrams() && !yield(tryFast(n)) {
			return
		}
		port := Port{"clock", address(n.Master, n.Ports.Clock)}
		l, err := clock.Listen(port.Address)
		if err != nil {
			err = listenFailure(port.Name, err)
		} else {
			l.Close()
		}
		if r.Clock.Source != "none" {
			yield(port, err)
		}
	}
}
