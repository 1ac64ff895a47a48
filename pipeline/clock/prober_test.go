package clock

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tsrun/pipeline/datagram"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lab is a responder, and what ends it and all that was started in it.
type lab struct {
	responder *Responder
	ctx       context.Context
	group     sync.WaitGroup
}

func newLab(t *testing.T) *lab {
	t.Helper()
	r, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := &lab{responder: r, ctx: ctx}
	t.Cleanup(func() {
		cancel()
		l.group.Wait()
	})
	l.run(t, r.Run)
	return l
}

func (l *lab) run(t *testing.T, run func(context.Context) error) {
	l.group.Go(func() {
		if err := run(l.ctx); err != nil {
			t.Error(err)
		}
	})
}

func (l *lab) prober(t *testing.T, port int) *Prober {
	t.Helper()
	a, err := l.responder.Admit()
	if err != nil {
		t.Fatal(err)
	}
	if port != 0 {
		a.Port = port
	}
	p, err := Dial("127.0.0.1", *a)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// reading waits for a reading of at least n exchanges.
func reading(t *testing.T, p *Prober, n int) Reading {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if r, ok := p.Reading(); ok && r.Exchanges >= n {
			return r
		}
		if time.Now().After(end) {
			t.Fatalf("no reading of %d exchanges", n)
		}
	}
}

// TestOneClockIsNotAhead compares a clock with itself: the truth is 0.
func TestOneClockIsNotAhead(t *testing.T) {
	for name, stamps := range map[string]bool{"kernel stamps": true, "stamps of the process": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			p := l.prober(t, 0)
			if !stamps {
				p.socket.stamps = false
			}
			l.run(t, p.Run)
			r := reading(t, p, 20)
			for end := time.Now().Add(60 * time.Second); stamps && p.socket.stamps && !r.KernelStamps && time.Now().Before(end); {
				r = reading(t, p, LeastExchanges) // the kernel begins some time after it was asked to
			}
			if max(r.Offset, -r.Offset) > r.Bound || r.Bound <= 0 || r.Trip <= 0 {
				t.Errorf("reading %+v", r)
			}
			if r.KernelStamps != (stamps && p.socket.stamps) {
				t.Errorf("stamps of the kernel: %v", r.KernelStamps)
			}
		})
	}
}

// TestAsymmetryStaysWithinTheBound puts a relay between that holds up one way.
func TestAsymmetryStaysWithinTheBound(t *testing.T) {
	l := newLab(t)
	const late = 3 * time.Millisecond
	relay, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	master := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: l.responder.Port()}
	l.run(t, func(ctx context.Context) error {
		defer context.AfterFunc(ctx, func() { relay.Close() })()
		b := make([]byte, 2*packetSize)
		var node *net.UDPAddr
		for {
			n, from, err := relay.ReadFromUDP(b)
			if err != nil {
				relay.Close()
				return nil
			}
			to := node
			if from.Port != master.Port {
				node, to = from, master
				time.Sleep(late)
			}
			_, _ = relay.WriteToUDP(b[:n], to)
		}
	})
	p := l.prober(t, relay.LocalAddr().(*net.UDPAddr).Port)
	l.run(t, p.Run)
	r := reading(t, p, 20)
	if off := max(r.Offset, -r.Offset); off > r.Bound || r.Bound < int64(late)/2 {
		t.Errorf("reading %+v of one clock", r)
	}
}

// TestStrangersMoveNoClock sends what strangers can: noise, packets of another key,
// packets that were sent before, and answers nobody asked for.
func TestStrangersMoveNoClock(t *testing.T) {
	l := newLab(t)
	a, err := l.responder.Admit()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.DialUDP("udp", nil, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: a.Port})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	key, other := datagram.Key(a.Key), datagram.Key{1}
	probe := func(p packet, key *datagram.Key) []byte {
		b := make([]byte, packetSize)
		p.encode(b, key)
		return b
	}
	good := probe(packet{kind: kindProbe, session: a.Session, seq: 7}, &key)
	for _, b := range [][]byte{
		{}, {0}, make([]byte, packetSize), make([]byte, 1400),
		good[:packetSize-1], append(append([]byte(nil), good...), 0),
		probe(packet{kind: kindProbe, session: a.Session, seq: 7}, &other),
		probe(packet{kind: kindProbe, session: a.Session + 1, seq: 7}, &key),
		probe(packet{kind: kindAnswer, session: a.Session, seq: 7}, &key),
		probe(packet{kind: kindProbe, session: a.Session}, &key), // 0 is none
		good, good, // the second time it is a repetition
		probe(packet{kind: kindProbe, session: a.Session, seq: 6}, &key),
	} {
		if _, err := conn.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	last := probe(packet{kind: kindProbe, session: a.Session, seq: 8}, &key)
	if _, err := conn.Write(last); err != nil {
		t.Fatal(err)
	}
	var got []uint64
	for len(got) == 0 || got[len(got)-1] != 8 {
		_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		b := make([]byte, 1500)
		n, err := conn.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := decode(b[:n], kindAnswer, &key)
		if err != nil {
			t.Fatalf("answer %x: %v", b[:n], err)
		}
		got = append(got, answer.seq)
	}
	if len(got) != 2 || got[0] != 7 {
		t.Errorf("answered %v, want 7 and 8 alone", got)
	}
	l.responder.Dismiss(a)
	if _, err := conn.Write(probe(packet{kind: kindProbe, session: a.Session, seq: 9}, &key)); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if n, err := conn.Read(make([]byte, 100)); err == nil {
		t.Errorf("%d bytes for a session that was dismissed", n)
	}
}

// TestAnswersThatNobodyAskedFor gives a prober answers that must not count.
func TestAnswersThatNobodyAskedFor(t *testing.T) {
	l := newLab(t)
	p := l.prober(t, 0)
	defer p.socket.conn.Close()
	at := stamp{ns: epoch + 1000}
	p.open[3] = &probed{Exchange: Exchange{T1: epoch}}
	p.take(packet{seq: 9, t2: epoch + 400}, at)
	p.take(packet{seq: 3, t2: epoch + 400}, at)
	p.take(packet{seq: 3, t2: epoch + 4}, stamp{ns: epoch + 9999}) // a repetition
	p.take(packet{seq: 9, before: 3, t3: epoch + 500}, at)
	p.take(packet{seq: 9, before: 3, t3: epoch + 5}, at)
	if want := (Exchange{epoch, epoch + 400, epoch + 500, epoch + 1000}); len(p.window) != 1 || p.window[0] != want {
		t.Errorf("kept %v, want %v", p.window, want)
	}
}

// TestClocksThatAreSet gives exchanges between which the other clock was set.
func TestClocksThatAreSet(t *testing.T) {
	l := newLab(t)
	p := l.prober(t, 0)
	defer p.socket.conn.Close()
	for i := range int64(30) {
		at, step := epoch+i*50e6, int64(0)
		if i >= 20 {
			step = 2e6
		}
		p.keep(Exchange{at, at + 500 + step, at + 600 + step, at + 1100}, true)
	}
	if r, ok := p.Reading(); !ok || r.Steps != 1 || r.Exchanges != 10 || max(r.Offset+2e6, -2e6-r.Offset) > r.Bound {
		t.Errorf("reading %+v", r)
	}
}

func TestAccessThatIsWrong(t *testing.T) {
	good := datagram.Access{Port: 5, Session: 1, Key: make([]byte, datagram.KeySize)}
	for name, change := range map[string]func(*datagram.Access){
		"no key":    func(a *datagram.Access) { a.Key = nil },
		"long key":  func(a *datagram.Access) { a.Key = make([]byte, datagram.KeySize+1) },
		"no port":   func(a *datagram.Access) { a.Port = 0 },
		"much port": func(a *datagram.Access) { a.Port = 65536 },
	} {
		a := good
		change(&a)
		if p, err := Dial("127.0.0.1", a); err == nil {
			p.socket.conn.Close()
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := Dial("no such host.invalid", good); err == nil {
		t.Error("a name that does not exist: no error")
	}
}

func FuzzPackets(f *testing.F) {
	key := datagram.Key{3}
	for _, p := range []packet{{kind: kindProbe, session: 1, seq: 2}, {kind: kindAnswer, session: 1, seq: 2, t2: epoch, before: 1, t3: epoch}} {
		b := make([]byte, packetSize)
		p.encode(b, &key)
		f.Add(b, p.kind)
	}
	f.Fuzz(func(t *testing.T, b []byte, kind byte) {
		p, err := decode(b, kind, &key)
		if err != nil {
			return
		}
		again := make([]byte, packetSize)
		if p.encode(again, &key); string(again[:48]) != string(b[:48]) {
			t.Errorf("%x was read as %+v", b, p)
		}
	})
}
