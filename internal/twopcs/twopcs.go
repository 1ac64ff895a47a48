// Package twopcs gives tests and benchmarks PCs on cables: network namespaces joined
// by pairs of virtual interfaces. They have one clock, so that any difference that is
// found between their clocks is an error.
package twopcs

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"tsrun/internal/need"
)

// made counts networks, each of which needs names of its own.
var made atomic.Int32

// PC is one of a network.
type PC struct {
	Namespace string
	Interface string // to the other
	Address   string
	In        []string // runs a program there, written before it
}

// File is what the system shows of the PC's network.
func (pc PC) File() string { return "/run/netns/" + pc.Namespace }

// Link sets the PC's interface up or down.
func (pc PC) Link(state string) error {
	return run("ip", fmt.Sprintf("-n %s link set %s %s", pc.Namespace, pc.Interface, state))
}

// Network is PCs that are gone with it. Making one takes root and iproute2.
type Network struct {
	Tag string // which nobody else has in the names of PCs and interfaces
	ip  string
	pcs []PC
}

// NewNetwork makes a network of no PC yet.
func NewNetwork() (*Network, error) {
	ip, err := exec.LookPath("ip")
	if err != nil {
		return nil, fmt.Errorf("make PCs of network namespaces: %w; it needs the package iproute2", err)
	}
	return &Network{Tag: fmt.Sprintf("%dx%d", os.Getpid(), made.Add(1)), ip: ip}, nil
}

// Of makes a network that is gone when the test ends. The test is skipped without root,
// or one that may not make networks, or iproute2.
func Of(t testing.TB) *Network {
	t.Helper()
	need.Networks(t)
	need.Tool(t, "ip", "iproute2")
	n, err := NewNetwork()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Remove)
	return n
}

// New makes two PCs on one cable, which are gone when the test ends.
func New(t testing.TB) (a, b PC) {
	t.Helper()
	a, b, err := Of(t).Two()
	if err != nil {
		t.Fatal(err)
	}
	return a, b
}

// Do does what a line of ip says.
func (n *Network) Do(line string) error { return run(n.ip, line) }

func run(ip, line string) error {
	if out, err := exec.Command(ip, strings.Fields(line)...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", line, err, out)
	}
	return nil
}

// PC makes a PC on no cable yet, by a letter that is its own in the network.
func (n *Network) PC(letter string) (PC, error) {
	pc := PC{Namespace: "tsrun-" + letter + n.Tag}
	pc.In = []string{n.ip, "netns", "exec", pc.Namespace}
	if err := n.Do("netns add " + pc.Namespace); err != nil {
		return pc, err
	}
	n.pcs = append(n.pcs, pc)
	return pc, n.Do("-n " + pc.Namespace + " link set lo up")
}

// Two makes two PCs on one cable.
func (n *Network) Two() (a, b PC, err error) {
	var all error
	do := func(format string, args ...any) { all = errors.Join(all, n.Do(fmt.Sprintf(format, args...))) }
	pcs := [2]PC{}
	for i, letter := range []string{"a", "b"} {
		if pcs[i], err = n.PC(letter); err != nil {
			return a, b, err
		}
		pcs[i].Interface, pcs[i].Address = "t"+letter+n.Tag, fmt.Sprintf("10.77.0.%d", i+1)
	}
	do("link add %s netns %s type veth peer name %s netns %s", pcs[0].Interface, pcs[0].Namespace, pcs[1].Interface, pcs[1].Namespace)
	for _, pc := range pcs {
		do("-n %s addr add %s/24 dev %s", pc.Namespace, pc.Address, pc.Interface)
		do("-n %s link set %s up", pc.Namespace, pc.Interface)
	}
	return pcs[0], pcs[1], all
}

// Switched makes so many PCs on one switch.
func (n *Network) Switched(count int) (pcs []PC, err error) {
	between, err := n.PC("s")
	if err != nil {
		return nil, err
	}
	var all error
	do := func(format string, args ...any) { all = errors.Join(all, n.Do(fmt.Sprintf(format, args...))) }
	do("-n %s link add sw type bridge", between.Namespace)
	do("-n %s link set sw up", between.Namespace)
	for i := range count {
		pc, err := n.PC(fmt.Sprintf("p%d-", i))
		if err != nil {
			return nil, err
		}
		pc.Interface, pc.Address = "eth0", fmt.Sprintf("10.77.0.%d", i+1)
		do("-n %s link add %s type veth peer name p%d netns %s", pc.Namespace, pc.Interface, i, between.Namespace)
		do("-n %s link set p%d master sw up", between.Namespace, i)
		do("-n %s addr add %s/24 dev %s", pc.Namespace, pc.Address, pc.Interface)
		do("-n %s link set %s up", pc.Namespace, pc.Interface)
		pcs = append(pcs, pc)
	}
	return pcs, all
}

// Remove ends the network.
func (n *Network) Remove() {
	for _, pc := range n.pcs {
		_ = n.Do("netns del " + pc.Namespace)
	}
	n.pcs = nil
}
