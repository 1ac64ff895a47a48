package master

import (
	"context"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"tsrun/internal/hostile"
	"tsrun/pipeline/wire"
)

// Strangers who have left have left nothing with the master: no goroutine, no place, no
// line of the log beyond those of the first, and hardly any memory.
func TestStrangersLeaveNothing(t *testing.T) {
	c := listening(t, remote)
	defer answering(t, c)()
	ctx, end := context.WithCancel(t.Context())
	running := make(chan error, 1)
	go func() { running <- c.receiver.Run(ctx) }()
	defer func() { end(); <-running }()
	addresses := map[string]net.Addr{"SUB": c.trigger.Addr(), "REQ": c.status.Addr(), "PAIR": c.receiver.Addr()}
	visit := func(seed uint64) {
		var strangers sync.WaitGroup
		for suit, addr := range addresses {
			strangers.Go(func() {
				r := rand.New(rand.NewPCG(seed, 1))
				for _, said := range hostile.Bytes(suit) {
					for range 3 {
						nc, err := net.Dial("tcp", addr.String())
						if err != nil {
							t.Error(err)
							return
						}
						nc.Write(hostile.Mutate(r, said)) // fails when the other end has had enough
						defer nc.Close()
					}
				}
			})
		}
		strangers.Wait()
	}
	taken := func() (goroutines int, bytes uint64) {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return runtime.NumGoroutine(), m.HeapAlloc
	}
	own, _ := taken()
	visit(0) // what is made once
	var goroutines int
	settled := func(most int) bool {
		for late := time.Now().Add(time.Minute); time.Now().Before(late); time.Sleep(10 * time.Millisecond) {
			if goroutines, _ = taken(); goroutines <= most {
				return true
			}
		}
		return false
	}
	if !settled(own) {
		t.Fatalf("%d goroutines after the first visit, %d before", goroutines, own)
	}
	_, before := taken()
	for seed := range uint64(5) {
		visit(1 + seed)
	}
	if !settled(own) {
		t.Errorf("%d goroutines are left", goroutines)
	}
	if _, after := taken(); after > before+4<<20 {
		t.Errorf("%d bytes are left of %d strangers", after-before, 5*3*3*len(hostile.Bytes("REQ")))
	}
	if n := len(c.strangers.told); n > maxTurned {
		t.Errorf("the user is told of %d", n)
	}
	if reply := asBob(t, c, "1", nil, ""); reply.Welcome == nil {
		t.Errorf("the node that comes afterwards: %+v", reply)
	}
}

// Only the token of a session makes a peer known, and with certificates only its node.
func TestAdmits(t *testing.T) {
	c := listening(t, remote)
	token := asBob(t, c, "1", nil, "").Welcome.Token
	for _, test := range []struct {
		name, token string
		want        bool
	}{
		{"", token, true}, {"bob", token, true}, {wire.MasterName, token, false}, {"alice", token, false},
		{"", "", false}, {"", token[1:], false}, {"", token + "0", false}, {"bob", "00000000000000000000000000000000", false},
	} {
		if node, ok := c.admits(wire.Peer{Name: test.name}, test.token); ok != test.want || ok && node != "bob" {
			t.Errorf("%q with %q: %q, %v", test.name, test.token, node, ok)
		}
	}
}
