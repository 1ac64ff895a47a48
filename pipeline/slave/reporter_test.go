package slave

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tsrun/pipeline/fact"
	"tsrun/pipeline/wire"
	"tsrun/sdk"
)

func TestInboxBelievesEachOrderOnce(t *testing.T) {
	b := newInbox()
	for _, seq := range []uint64{1, 1, 3, 2, 3} { // published, repeated, one missed, come late, repeated
		b.put(wire.Order{Kind: wire.Arm, Seq: seq}, fact.ByPub, time.Now())
	}
	b.put(wire.Order{Kind: wire.Beacon, Seq: 9}, fact.ByPub, time.Now())
	var got []uint64
	for len(b.ch) > 0 {
		got = append(got, (<-b.ch).Seq)
	}
	if diff := cmp.Diff([]uint64{1, 3}, got); diff != "" {
		t.Errorf("orders (-want +got):\n%s", diff)
	}
	first := errors.New("first")
	b.close(first)
	b.close(errors.New("second"))
	b.put(wire.Order{Kind: wire.Stop, Seq: 10}, fact.ByPub, time.Now())
	if len(b.ch) != 0 || b.closedBy() != first {
		t.Errorf("a closed inbox took an order, or forgot why it was closed: %v", b.closedBy())
	}
}

// fakeMaster answers reports on a real status port.
type fakeMaster struct {
	mu      sync.Mutex
	news    []uint64
	deaf    int // answers that are lost
	reply   wire.Reply
	reports int
}

func (f *fakeMaster) serve(_ wire.Peer, body []byte) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	var r wire.Request
	if err := json.Unmarshal(body, &r); err != nil {
		panic(err)
	}
	f.reports++
	reply := f.reply
	for _, n := range r.Report.News {
		if n.Seq == uint64(len(f.news))+1 {
			f.news = append(f.news, n.Seq)
		}
	}
	reply.Seen = uint64(len(f.news))
	if f.deaf > 0 { // believed, but the slave does not learn it
		f.deaf--
		reply.Seen = 0
	}
	answer, err := json.Marshal(reply)
	if err != nil {
		panic(err)
	}
	return answer
}

// reporting starts a reporter against a fake master.
func reporting(t *testing.T, f *fakeMaster) (*reporter, <-chan error) {
	t.Helper()
	server, err := wire.ListenStatus(context.Background(), "127.0.0.1:0", wire.Guard{}, f.serve)
	if err != nil {
		t.Fatal(err)
	}
	r := newReporter("bob", "token", wire.NewStatusClient(server.Addr().String(), nil), newInbox())
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- r.Run(ctx)
		close(ended)
	}()
	t.Cleanup(func() {
		cancel()
		for range ended { // until Run has returned
		}
		r.reportLast()
		server.Close()
	})
	return r, ended
}

func TestNewsAreToldOnceInOrder(t *testing.T) {
	f := &fakeMaster{deaf: 2}
	r, _ := reporting(t, f)
	for range 3 * newsBatch / 2 { // more than one report carries
		r.queueNews(wire.News{Loss: &fact.StreamLoss{Loss: fact.Loss{Tags: 1, Why: "test"}}})
	}
	for end := time.Now().Add(20 * time.Second); !r.newsSeen(); {
		if time.Now().After(end) {
			t.Fatal("news are not acknowledged")
		}
		time.Sleep(time.Millisecond)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.news) != 3*newsBatch/2 {
		t.Errorf("%d news arrived, want %d", len(f.news), 3*newsBatch/2)
	}
	for i, seq := range f.news {
		if seq != uint64(i+1) {
			t.Fatalf("news %d came in place %d", seq, i+1)
		}
	}
}

// TestOrphanReportsToNobody: a slave whose master has ended does not wait for an answer
// to its last report.
func TestOrphanReportsToNobody(t *testing.T) {
	for orphan, want := range map[bool]int{true: 0, false: 1} {
		f := &fakeMaster{}
		server, err := wire.ListenStatus(t.Context(), "127.0.0.1:0", wire.Guard{}, f.serve)
		if err != nil {
			t.Fatal(err)
		}
		r := newReporter("bob", "token", wire.NewStatusClient(server.Addr().String(), nil), newInbox())
		r.orphaned = func() bool { return orphan }
		r.queueFailure(errors.New("for which a report gets more time"))
		r.reportLast()
		server.Close()
		if f.reports != want {
			t.Errorf("orphan %v: %d reports, want %d", orphan, f.reports, want)
		}
	}
}

func TestRefusalEndsEveryWait(t *testing.T) {
	f := &fakeMaster{reply: wire.Reply{Refused: &sdk.Failure{Code: "token", Message: "not of this run"}}}
	r, ended := reporting(t, f)
	select {
	case <-r.orders.shut:
	case <-time.After(20 * time.Second):
		t.Fatal("the inbox is still open")
	}
	var failure *sdk.Failure
	if err := <-ended; !errors.As(err, &failure) || failure.Code != "token" {
		t.Errorf("the reporter ended with %v", err)
	}
}

func TestAnswersCarryOrders(t *testing.T) {
	f := &fakeMaster{reply: wire.Reply{Order: &wire.Order{Kind: wire.Arm, Seq: 7}}}
	r, _ := reporting(t, f)
	select {
	case o := <-r.orders.ch:
		if o.Seq != 7 || o.Kind != wire.Arm {
			t.Errorf("order %v %d", o.Kind, o.Seq)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("no order came")
	}
}

func TestFailuresKeepTheirHint(t *testing.T) {
	r := newReporter("bob", "", nil, newInbox())
	r.queueFailure(fmt.Errorf("open: %w", &sdk.Failure{Code: "wrong-device", Message: "m", Hint: "h"}))
	r.queueFailure(errors.New("plain"))
	want := []wire.News{
		{Seq: 1, Failure: &sdk.Failure{Code: "wrong-device", Message: "open: m", Hint: "h"}},
		{Seq: 2, Failure: &sdk.Failure{Code: "failed", Message: "plain"}},
	}
	if diff := cmp.Diff(want, r.snapshot().News); diff != "" {
		t.Errorf("news (-want +got):\n%s", diff)
	}
}

func TestLogLinesAreDroppedNotFacts(t *testing.T) {
	r := newReporter("bob", "", nil, newInbox())
	line := []byte(`{"msg":"again"}`)
	for range maxQueued + 5 {
		if _, err := r.Write(line); err != nil {
			t.Fatal(err)
		}
	}
	r.queueNews(wire.News{Loss: &fact.StreamLoss{Loss: fact.Loss{Tags: 1}}})
	if n := len(r.news); n != maxQueued+1 || r.news[n-1].Loss == nil {
		t.Fatalf("%d news wait, want %d lines and the loss", n, maxQueued)
	}
	r.news = nil // the master is back and has them all
	if _, err := r.Write(line); err != nil {
		t.Fatal(err)
	}
	if len(r.news) != 2 || !strings.Contains(string(r.news[0].Log), `"lines":5`) {
		t.Errorf("news %v, want a word about the 5 lines and the line", r.news)
	}
}

// TestLongNewsAreSent queues more than one message can carry, and pieces that
// no message could.
func TestLongNewsAreSent(t *testing.T) {
	f := &fakeMaster{}
	r, _ := reporting(t, f)
	long := strings.Repeat("ü", 30<<10)
	n := 0
	for range 20 {
		line, err := json.Marshal(map[string]string{"level": "INFO", "msg": long, "more": long})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Write(line); err != nil {
			t.Fatal(err)
		}
		n++
	}
	r.queueFailure(errors.New(strings.Repeat("file refused; ", 1<<17)))
	r.queueNews(wire.News{Loss: &fact.StreamLoss{Loss: fact.Loss{Tags: 1, Why: long + long}}})
	r.queueNews(wire.News{Ended: &wire.Ended{Controller: "tc", Report: json.RawMessage(`"` + long + long + `"`)}})
	r.queueNews(wire.News{Controller: &wire.ControllerUp{Name: "tc", Device: fact.Device{Identity: strings.Repeat("x", 2<<20)}}})
	for range 100 {
		r.queueNews(wire.News{Ended: &wire.Ended{Controller: "tc", Report: json.RawMessage(`"` + long[:60<<10] + `"`)}})
	}
	n += 104
	for end := time.Now().Add(20 * time.Second); !r.newsSeen(); {
		if time.Now().After(end) {
			t.Fatal("news are not acknowledged")
		}
		time.Sleep(time.Millisecond)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.news) != n {
		t.Errorf("%d news arrived, want %d", len(f.news), n)
	}
}
