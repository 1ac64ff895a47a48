package slave

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"tsrun/pipeline/fact"
	"tsrun/pipeline/wire"
)

// broadcasting is a lab whose master sends orders to fire on receipt, also as datagrams.
type broadcasting struct {
	*lab
	fast   *wire.FastPublisher
	firing sync.WaitGroup
	once   sync.Once
}

// newBroadcasting makes a lab in which fire gives the order to start, when the node is armed.
func newBroadcasting(t *testing.T, fire func(*broadcasting, wire.Order)) *broadcasting {
	t.Helper()
	b := &broadcasting{lab: newLab(t, "", "", "")}
	b.recipe.Trigger.Method, b.recipe.Trigger.Fast = "broadcast", "udp"
	var err error
	if b.fast, err = wire.ListenFast("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	b.firing.Go(func() { b.fast.Run(context.Background()) })
	t.Cleanup(func() {
		b.fast.Close()
		b.firing.Wait()
	})
	b.give = func(p wire.Phase) wire.OrderKind {
		if p != wire.Armed {
			return straight(p)
		}
		b.once.Do(func() {
			now := time.Now().UnixNano()
			o := wire.Order{Kind: wire.Fire, Seq: b.order.Seq + 1, Run: b.run, Instant: now, Sent: now}
			b.order = wire.Order{Kind: wire.Beacon, Seq: o.Seq, Run: b.run} // answers repeat nothing
			b.firing.Go(func() { fire(b, o) })
		})
		return 0
	}
	return b
}

// welcome lets the node in, which hears datagrams.
func (b *broadcasting) part(t *testing.T, datagrams bool) error {
	t.Helper()
	w := b.welcome()
	if datagrams {
		access, err := b.fast.Admit()
		if err != nil {
			t.Fatal(err)
		}
		w.Fast = access
	}
	b.joins = []wire.Reply{{Welcome: w}}
	return b.takePart(b.options())
}

// untilStarted waits until the master knows that the node was started.
func (b *broadcasting) untilStarted() {
	for end := time.Now().Add(wait); b.started() == 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
}

// last is what the master was told last of how the order came.
func (b *broadcasting) last() (h *fact.Heard) {
	news, _ := b.lab.heard()
	for _, n := range news {
		if n.Heard != nil {
			h = n.Heard
		}
	}
	return h
}

// byUDP sends an order as a datagram until the node has it: it may not have said hello yet.
func (b *broadcasting) byUDP(o wire.Order) {
	for range 3 * int(wait/time.Second) {
		b.fast.Publish(o)
		if b.started() > 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (b *broadcasting) byPub(o wire.Order) { b.trigger.Publish(o) }

// byAnswer has the answers repeat an order.
func (b *broadcasting) byAnswer(o wire.Order) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.order = o
}

// TestTheFirstCopyStarts: whichever way an order comes by first, its controllers are
// started by that copy, once, and the others start nothing.
func TestTheFirstCopyStarts(t *testing.T) {
	for name, c := range map[string]struct {
		fire func(*broadcasting, wire.Order)
		by   string // "": whichever
		deaf bool   // the node is told of no datagrams
	}{
		"datagrams alone": {fire: (*broadcasting).byUDP, by: fact.ByUDP},
		"published alone": {fire: (*broadcasting).byPub, by: fact.ByPub},
		"answers alone":   {fire: (*broadcasting).byAnswer, by: fact.ByAnswer},
		"no datagrams":    {fire: (*broadcasting).byPub, by: fact.ByPub, deaf: true},
		"publication is held up": {fire: func(b *broadcasting, o wire.Order) {
			b.byUDP(o)
			b.untilStarted()
			b.byPub(o)
			b.byPub(o)
		}, by: fact.ByUDP},
		"datagrams are held up": {fire: func(b *broadcasting, o wire.Order) {
			b.byPub(o)
			b.untilStarted()
			b.fast.Publish(o)
			b.fast.Publish(o)
		}, by: fact.ByPub},
		"all at once": {fire: func(b *broadcasting, o wire.Order) {
			b.byPub(o)
			b.fast.Publish(o)
			b.byAnswer(o)
			b.fast.Publish(o)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBroadcasting(t, c.fire)
			if err := b.part(t, !c.deaf); err != nil {
				t.Fatal(err)
			}
			if n := b.segments(); n != 1000 || b.started() != 1 {
				t.Errorf("%d tags, %d starts", n, b.started())
			}
			h := b.last()
			if h == nil || !h.Plausible() || h.Shot != 1 || c.by != "" && h.By != c.by || (h.Dropped == nil) != c.deaf {
				t.Errorf("heard %+v, want it by %q", h, c.by)
			}
		})
	}
}

// TestPastTheKernelOfOnePC: where the master is on the same PC datagrams come by UDP, and
// nobody is warned of that.
func TestPastTheKernelOfOnePC(t *testing.T) {
	b := newBroadcasting(t, (*broadcasting).byUDP)
	b.recipe.Trigger.Fast = "xdp"
	if err := b.part(t, true); err != nil {
		t.Fatal(err)
	}
	if h := b.last(); b.started() != 1 || h == nil || h.By != fact.ByUDP {
		t.Errorf("%d starts, heard %+v", b.started(), h)
	}
	news, _ := b.lab.heard()
	for _, n := range news {
		if n.Warning != nil && strings.Contains(n.Warning.Message, "xdp") {
			t.Errorf("warned of %q", n.Warning.Message)
		}
	}
}

// TestOrdersOnReceiptOfNobody: what is no order to start at once starts nothing, and
// neither does what is older than the lead and was called off since.
func TestOrdersOnReceiptOfNobody(t *testing.T) {
	b := newBroadcasting(t, func(b *broadcasting, o wire.Order) {
		later := o
		later.Instant, later.Seq = o.Sent+1e9, o.Seq+5
		b.byPub(later) // as one of a scheduled run
		old := o
		old.Sent -= 3600e9
		old.Instant = old.Sent
		b.byPub(old)
	})
	b.recalls = true
	b.recipe.Nodes[0].Host = "local" // by whose clock it is known
	err := b.part(t, false)
	if ending(err) != "abort" || b.started() != 0 {
		t.Errorf("ended with %v after %d starts", err, b.started())
	}
	news, _ := b.lab.heard()
	said := ""
	for _, n := range news {
		if n.Warning != nil {
			said += n.Warning.Message
		}
	}
	if !strings.Contains(said, "to start 1s after it was sent, and not at once") {
		t.Errorf("said %q", said)
	}
}

// TestLateOnReceipt: an order that is old and holds starts the controllers, and is told
// to be late.
func TestLateOnReceipt(t *testing.T) {
	b := newBroadcasting(t, func(b *broadcasting, o wire.Order) {
		o.Sent -= 3e9
		o.Instant = o.Sent
		b.byPub(o)
	})
	b.recipe.Nodes[0].Host = "local" // by whose clock it is known
	if err := b.part(t, false); err != nil {
		t.Fatal(err)
	}
	news, _ := b.lab.heard()
	for _, n := range news {
		if n.Shot != nil && n.Shot.Late && n.Shot.Called-n.Shot.Asked >= 3e9 {
			return
		}
	}
	t.Errorf("%d starts, none late", b.started())
}

// TestCopies: the first of the newest order counts, and each way once.
func TestCopies(t *testing.T) {
	b := newInbox()
	if b.heard(1) != nil {
		t.Error("heard before anything came")
	}
	at := time.Unix(1000, 0)
	fire := func(seq uint64, by string, after time.Duration) {
		b.put(wire.Order{Kind: wire.Fire, Seq: seq}, by, at.Add(after))
	}
	b.put(wire.Order{Kind: wire.Arm, Seq: 1}, fact.ByPub, at)
	fire(2, fact.ByUDP, 0)
	fire(2, fact.ByUDP, 5)
	fire(2, fact.ByPub, 7)
	fire(2, fact.ByPub, 9)
	fire(2, fact.ByAnswer, -3) // stamped by another goroutine just before
	h := b.heard(4)
	if h.By != fact.ByUDP || h.AtNs != at.UnixNano() || h.Shot != 4 || len(h.LaterNs) != 2 || h.LaterNs[fact.ByPub] != 7 || h.LaterNs[fact.ByAnswer] != 0 {
		t.Errorf("%+v", h)
	}
	b.put(wire.Order{Kind: wire.Stop, Seq: 3}, fact.ByPub, at)
	fire(1, fact.ByAnswer, 20) // an older one, and one that was never heard of
	if b.heard(4).By != fact.ByUDP {
		t.Errorf("%+v", b.heard(4))
	}
	if fire(4, fact.ByPub, 30); b.heard(5).By != fact.ByPub || len(b.heard(5).LaterNs) != 0 {
		t.Errorf("%+v", b.heard(5))
	}
}
