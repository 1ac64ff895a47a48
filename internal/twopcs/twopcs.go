// Package twopcs gives tests two PCs on one cable: network namespaces joined by a
// pair of virtual interfaces. They have one clock, so that any difference that is
// found between their clocks is an error.
package twopcs

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"tsrun/internal/need"
)

// made counts pairs of namespaces, each of which needs names of its own.
var made atomic.Int32

// PC is one of two.
type PC struct {
	Namespace string
	Interface string // to the other
	Address   string
	In        []string // runs a program there, written before it
}

// New makes two, which are gone when the test ends. It needs root and iproute2.
func New(t testing.TB) (a, b PC) {
	t.Helper()
	need.Root(t)
	ip := need.Tool(t, "ip", "iproute2")
	do := func(line string) {
		t.Helper()
		if out, err := exec.Command(ip, strings.Fields(line)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", line, err, out)
		}
	}
	tag := fmt.Sprintf("%d%c", os.Getpid(), 'a'+rune(made.Add(1)-1)%26)
	pcs := [2]PC{}
	for i, letter := range []string{"a", "b"} {
		ns := "tsrun-" + letter + tag
		pcs[i] = PC{Namespace: ns, Interface: "t" + letter + tag, Address: fmt.Sprintf("10.77.0.%d", i+1), In: []string{ip, "netns", "exec", ns}}
		do("netns add " + ns)
		t.Cleanup(func() { _ = exec.Command(ip, "netns", "del", ns).Run() })
		do("-n " + ns + " link set lo up")
	}
	do(fmt.Sprintf("link add %s netns %s type veth peer name %s netns %s", pcs[0].Interface, pcs[0].Namespace, pcs[1].Interface, pcs[1].Namespace))
	for _, pc := range pcs {
		do(fmt.Sprintf("-n %s addr add %s/24 dev %s", pc.Namespace, pc.Address, pc.Interface))
		do(fmt.Sprintf("-n %s link set %s up", pc.Namespace, pc.Interface))
	}
	return pcs[0], pcs[1]
}
