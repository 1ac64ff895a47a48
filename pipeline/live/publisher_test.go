package live

import (
	"net"
	"testing"
	"time"

	"tsrun/internal/hostile"
	"tsrun/pipeline/recipe"
)

// TestWhoReadsNothingHarmsNobody: a subscriber that stands still misses messages, which
// are counted; another has all, and one that comes later has the rest.
func TestWhoReadsNothingHarmsNobody(t *testing.T) {
	r := newRig(t, recipe.LiveConfig{Of: []string{"alice.a"}, Queue: 2}, false)
	r.subscribe("live") // reads nothing
	l := r.subscribe("li")
	tags := make([]uint64, 1<<15) // 320 KiB a message
	const messages = 100
	for i := range messages {
		for k := range tags {
			tags[k] = uint64(i)*length + uint64(k)
		}
		r.segment("alice", "a", i, tags...)
		if m := l.next(); m.Seq != uint64(i) || m.Tags != len(tags) {
			t.Fatalf("message %d: %+v", i, m.Header)
		}
	}
	later := r.subscribe("")
	r.End()
	if m := later.next(); m.Kind != KindEnd || m.Seq != messages || m.Totals.Tags != messages<<15 {
		t.Errorf("%+v", m.Header)
	}
	if m := l.next(); m.Kind != KindEnd {
		t.Errorf("%+v", m.Header)
	}
	record := r.Close(wait)
	if record.Dropped < messages/2 || record.Dropped > messages+1 || record.Subscribers != 3 || record.Messages != messages+1 {
		t.Errorf("%+v", record)
	}
}

// TestHostilePeersHarmNobody: what says nonsense gets nothing, and others are served.
func TestHostilePeersHarmNobody(t *testing.T) {
	r := newRig(t, recipe.LiveConfig{Of: []string{"alice.a"}}, false)
	_, path, _ := r.sink.Config.Network()
	for name, said := range hostile.Bytes("SUB") {
		nc, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		if _, err := nc.Write(said); err != nil {
			t.Logf("%s: %v", name, err) // it was closed before all was said
		}
	}
	l := r.subscribe("")
	r.segment("alice", "a", 0, 1)
	if m := l.next(); m.Tags != 1 {
		t.Errorf("%+v", m.Header)
	}
	noisy := r.subscribe("")
	for range 3 * maxSubscriptions {
		if noisy.conn.Send(wait, []byte("\x01topic")) != nil {
			break
		}
	}
	r.segment("alice", "a", 1, length)
	if m := l.next(); m.Seq != 1 {
		t.Errorf("%+v", m.Header)
	}
}

// TestTheEndOfAStreamThatNeverBegan is the end of its socket.
func TestTheEndOfAStreamThatNeverBegan(t *testing.T) {
	sink := recipe.Live{Name: "live", Config: recipe.LiveConfig{Address: "tcp://127.0.0.1:0", Queue: 1}}
	s, err := Listen(sink)
	if err != nil {
		t.Fatal(err)
	}
	address := s.publisher.listener.Addr().String()
	if record := s.Close(wait); record.Messages != 0 {
		t.Errorf("%+v", record)
	}
	if nc, err := net.DialTimeout("tcp", address, time.Second); err == nil {
		nc.Close()
		t.Error("it still listens")
	}
	for _, wrong := range []string{"tcp://192.0.2.1:1", "tcp://127.0.0.1", "ipc://relative", "udp://127.0.0.1:1", ""} {
		sink.Config.Address = wrong
		if s, err := Listen(sink); err == nil {
			s.Close(0)
			t.Errorf("listens at %q", wrong)
		}
	}
}
