package wire

import (
	"context"
	"errors"
	"os/exec"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tsrun/internal/twopcs"
	"tsrun/pipeline/datagram"
	"tsrun/pipeline/fact"
	"tsrun/pipeline/xdp"
	"tsrun/sdk/tag"
)

// heardBy is an order with the way by which it came.
type heardBy struct {
	Order
	by string
}

// pastLab is a master on one PC and a node on another.
type pastLab struct {
	*testing.T
	publisher *FastPublisher
	node      *FastSubscriber
	orders    chan heardBy
	running   sync.WaitGroup
	cable     twopcs.PC
	first     string       // the way of datagrams, as the kernel allows it
	end       func() error // of the way past the kernel
	failed    <-chan error // its end by itself
}

func newPastLab(t *testing.T) *pastLab {
	t.Helper()
	l := &pastLab{T: t, orders: make(chan heardBy, 1000), first: fact.ByXDP}
	before := goleak.IgnoreCurrent()
	master, node := twopcs.New(t)
	ctx, stop := context.WithCancel(t.Context())
	past, end := context.WithCancel(ctx)
	t.Cleanup(func() {
		stop()
		end()
		l.running.Wait()
		goleak.VerifyNone(t, before)
	})
	var access *datagram.Access
	var err error
	master.Within(t, func() { l.publisher, err = ListenFast(master.Address + ":0") })
	if err == nil {
		l.running.Go(func() { l.publisher.Run(ctx) })
		access, err = l.publisher.Admit()
	}
	if err != nil {
		t.Fatal(err)
	}
	node.Within(t, func() {
		l.node, err = DialFast(master.Address, *access, tag.RunID{1}, func(r Received, by string) { l.orders <- heardBy{r.Order, by} })
	})
	if err != nil {
		t.Fatal(err)
	}
	node.Within(t, func() { err = l.node.GoPast() })
	ended := make(chan error, 1)
	if err == nil {
		l.running.Go(func() { ended <- l.node.RunPast(past) })
	} else {
		l.refused(err)
		ended <- nil
	}
	l.cable, l.end = node, func() error {
		end()
		return <-ended
	}
	l.failed = ended
	l.running.Go(func() { l.node.Run(ctx) })
	return l
}

// refused: a kernel that does not allow it says so with its name for that and what to do.
func (l *pastLab) refused(err error) {
	l.Helper()
	var refused *xdp.Refusal
	if !errors.As(err, &refused) || refused.Errno == "" || refused.Remedy == "" {
		l.Fatal(err)
	}
	l.Logf("this kernel refuses: %v", err)
	l.first = fact.ByUDP
}

// publish sends an order.
func (l *pastLab) publish(o Order) {
	l.Helper()
	if err := l.publisher.Publish(o); err != nil {
		l.Fatal(err)
	}
}

// next is the next order, which is no beacon.
func (l *pastLab) next() heardBy {
	l.Helper()
	for end := time.After(fastWait); ; {
		select {
		case r := <-l.orders:
			if r.Kind != Beacon {
				return r
			}
		case <-end:
			l.Fatal("no order comes")
		}
	}
}

// TestOrdersPastTheKernel: an order comes past the kernel's network, once; when that has
// ended it comes by UDP, also one that came the other way before, which nobody forged.
func TestOrdersPastTheKernel(t *testing.T) {
	l := newPastLab(t)
	for end := time.Now().Add(fastWait); !l.node.Heard(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("nothing is heard of the publisher")
		}
		l.publish(Order{Kind: Beacon, Run: tag.RunID{1}, Sent: 1})
	}
	fire := Order{Kind: Fire, Seq: 7, Run: tag.RunID{1}, Instant: 5e18, Sent: 5e18}
	l.publish(fire)
	if got := l.next(); got != (heardBy{fire, l.first}) {
		t.Errorf("heard %+v", got)
	}
	l.publish(fire)
	again := fact.Dropped{Again: 1}
	dropped := func() fact.Dropped {
		d := l.node.Dropped()
		d.Stale = 0 // a beacon that another processor held up
		return d
	}
	for end := time.Now().Add(fastWait); dropped() != again && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if err := l.end(); err != nil {
		t.Errorf("the way past the kernel's network ends with %v", err)
	}
	if l.first == fact.ByXDP {
		l.publish(fire)
		if got := l.next(); got != (heardBy{fire, fact.ByUDP}) {
			t.Errorf("by the other way %+v", got)
		}
	}
	fire.Seq++
	l.publish(fire)
	if got := l.next(); got != (heardBy{fire, fact.ByUDP}) {
		t.Errorf("when it has ended %+v", got)
	}
	if got := dropped(); got != again {
		t.Errorf("dropped %+v", got)
	}
}

// TestCableRemoved: where the interface is removed the way past the kernel's network ends
// with an error, and nothing waits for it.
func TestCableRemoved(t *testing.T) {
	l := newPastLab(t)
	if out, err := exec.Command("ip", "-n", l.cable.Namespace, "link", "delete", l.cable.Interface).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	select {
	case err := <-l.failed:
		if (err != nil) != (l.first == fact.ByXDP) {
			t.Errorf("it ends with %v", err)
		}
	case <-time.After(fastWait):
		t.Error("it does not end")
	}
}
