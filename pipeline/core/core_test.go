package core_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"

	"tsrun/pipeline/core"
	"tsrun/sdk/blockio"
	"tsrun/sdk/tag"
	"tsrun/sdk/zmtp"
)

var run = tag.RunID{1, 2, 3}

// node is a core under test.
type node struct {
	t testing.TB
	*core.Core
	done chan error
	stop context.CancelFunc
}

// patience is how long what must come may take, however slow this PC is.
const patience = 4 * time.Minute

func newNode(t testing.TB) *node {
	t.Helper()
	dir, err := os.MkdirTemp("", "ts")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	n := &node{t: t, Core: core.New(dir, nil), done: make(chan error, 1)}
	n.RunID = run
	n.Patience = patience
	return n
}

func (n *node) inlet(name string, streams ...uint16) string {
	n.t.Helper()
	endpoint, err := n.Inlet(name, streams)
	if err != nil {
		n.t.Fatal(err)
	}
	return endpoint
}

func (n *node) outlet(name string, streams ...uint16) string {
	n.t.Helper()
	endpoint, err := n.Outlet(name, streams)
	if err != nil {
		n.t.Fatal(err)
	}
	return endpoint
}

func (n *node) start() {
	ctx, cancel := context.WithCancel(context.Background())
	n.stop = cancel
	go func() { n.done <- n.Run(ctx); close(n.done) }()
	n.t.Cleanup(func() { cancel(); <-n.done })
}

// wait returns what Run returned.
func (n *node) wait() error {
	n.t.Helper()
	select {
	case err := <-n.done:
		return err
	case <-time.After(patience):
		n.t.Fatalf("the core is still running after %v", patience)
		return nil
	}
}

func dial(t testing.TB, endpoint string, typ zmq4.SocketType) *zmtp.Conn {
	t.Helper()
	conn, err := zmtp.Dial(t.Context(), "unix", strings.TrimPrefix(endpoint, "ipc://"), typ)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// driver sends hand-made blocks.
type driver struct {
	t    testing.TB
	conn *zmtp.Conn
	next map[uint16]uint64
}

func newDriver(t testing.TB, endpoint string) *driver {
	return &driver{t: t, conn: dial(t, endpoint, zmq4.Push), next: map[uint16]uint64{}}
}

func (d *driver) send(b tag.Block) {
	d.t.Helper()
	if b.Run == (tag.RunID{}) {
		b.Run = run
	}
	b.Seq += d.next[b.Stream]
	d.next[b.Stream]++
	var header [tag.HeaderSize]byte
	payload := tag.AsBytes(b.Tags)
	b.EncodeHeader(header[:])
	if err := d.conn.Send(patience, header[:], payload); err != nil {
		d.t.Fatal(err)
	}
}

func (d *driver) tags(stream uint16, tags ...uint64) {
	d.t.Helper()
	d.send(tag.Block{Kind: tag.Data, Stream: stream, Tags: tags, Until: tags[len(tags)-1]})
}

func (d *driver) end(stream uint16, until uint64) {
	d.t.Helper()
	d.send(tag.Block{Kind: tag.End, Stream: stream, Until: until})
}

// sink collects blocks until every stream has ended or the core leaves.
type sink struct {
	frames  map[uint16][][]byte // header and payload of each block, joined
	tags    map[uint16][]uint64
	last    map[uint16]tag.Block
	err     error
	done    chan struct{}
	streams int
}

func newSink(t testing.TB, endpoint string, streams int) *sink {
	t.Helper()
	conn := dial(t, endpoint, zmq4.Pull)
	s := &sink{frames: map[uint16][][]byte{}, tags: map[uint16][]uint64{}, last: map[uint16]tag.Block{}, done: make(chan struct{}), streams: streams}
	go s.collect(conn)
	t.Cleanup(func() { conn.Close(); <-s.done })
	return s
}

func (s *sink) collect(conn *zmtp.Conn) {
	defer close(s.done)
	in := blockio.NewReader(conn)
	seqs := map[uint16]*tag.Sequence{}
	for open := s.streams; open > 0; {
		m, err := in.Next()
		if err == nil {
			id := m.Head.Stream
			if seqs[id] == nil {
				seqs[id] = &tag.Sequence{Run: run, Stream: id}
			}
			err = seqs[id].Accept(m.Head)
		}
		if err != nil {
			s.err = err
			return
		}
		id := m.Head.Stream
		b := m.Block()
		s.frames[id] = append(s.frames[id], slices.Concat(m.Header, m.Payload))
		s.tags[id] = append(s.tags[id], b.Tags...)
		b.Tags = nil
		s.last[id] = b
		if b.Kind == tag.End {
			open--
		}
	}
}

func (s *sink) wait(t testing.TB) {
	t.Helper()
	select {
	case <-s.done:
	case <-time.After(patience):
		t.Fatalf("the sink is still waiting after %v", patience)
	}
	if s.err != nil {
		t.Fatalf("sink: %v", s.err)
	}
}

func TestBlocksArriveUnchangedWhereTheyAreWanted(t *testing.T) {
	n := newNode(t)
	a, b := n.inlet("alice.tc", 1, 2), n.inlet("bob.tc", 9)
	all, some := n.outlet("all", 1, 2, 9), n.outlet("some", 2)
	n.start()
	everything, part := newSink(t, all, 3), newSink(t, some, 1)
	alice, bob := newDriver(t, a), newDriver(t, b)
	want := map[uint16][]uint64{}
	for i := range uint64(200) {
		for _, s := range []uint16{1, 2, 9} {
			tags := make([]uint64, 1+i*37)
			for j := range tags {
				tags[j] = i*1e6 + uint64(j)*uint64(s)
			}
			want[s] = append(want[s], tags...)
			if s == 9 {
				bob.tags(s, tags...)
			} else {
				alice.tags(s, tags...)
			}
		}
	}
	alice.send(tag.Block{Kind: tag.Mark, Stream: 1, Until: 3e8, Lost: 7})
	alice.end(1, 4e8)
	alice.end(2, 4e8)
	bob.end(9, 4e8)
	if err := n.wait(); err != nil {
		t.Error(err)
	}
	everything.wait(t)
	part.wait(t)
	for _, s := range []uint16{1, 2, 9} {
		if !slices.Equal(everything.tags[s], want[s]) {
			t.Errorf("stream %d: %d tags, want %d", s, len(everything.tags[s]), len(want[s]))
		}
	}
	if len(part.frames) != 1 || !slices.EqualFunc(part.frames[2], everything.frames[2], bytes.Equal) {
		t.Errorf("the second sink got %d streams, and not the same blocks of stream 2", len(part.frames))
	}
	counts := n.Counts()
	if c := counts[0]; c.Stream != 1 || c.Inlet != "alice.tc" || c.Tags != uint64(len(want[1])) || c.Blocks != 202 || c.Lost != 7 ||
		c.Until != 4e8 || !c.Ended || c.Err != nil || c.First != 0 || c.Last != want[1][len(want[1])-1] {
		t.Errorf("counts %+v", c)
	}
	if len(counts) != 3 || counts[2].Inlet != "bob.tc" {
		t.Errorf("counts %+v", counts)
	}
}

// spoiled sends a block after spoil has had it.
func spoiled(d *driver, spoil func(header, payload []byte) [][]byte) {
	b := tag.Block{Kind: tag.Data, Run: run, Stream: 1, Seq: 1, Until: 40, Tags: []uint64{30, 40}}
	var header [tag.HeaderSize]byte
	payload := slices.Clone(tag.AsBytes(b.Tags))
	b.EncodeHeader(header[:])
	d.conn.Send(10*time.Second, spoil(header[:], payload)...)
}

var badBlocks = []struct {
	name string
	bad  func(*driver)
	says string
}{
	{"tags cut short", func(d *driver) {
		spoiled(d, func(h, p []byte) [][]byte { return [][]byte{h, p[:8]} })
	}, "8 bytes of tags"},
	{"flipped bit in the header", func(d *driver) {
		spoiled(d, func(h, p []byte) [][]byte { h[50] ^= 1; return [][]byte{h, p} })
	}, "checksum"},
	{"one frame", func(d *driver) { spoiled(d, func(h, _ []byte) [][]byte { return [][]byte{h} }) }, "one frame"},
	{"three frames", func(d *driver) {
		spoiled(d, func(h, p []byte) [][]byte { return [][]byte{h, p, p} })
	}, "more than two frames"},
	{"short header", func(d *driver) {
		spoiled(d, func(h, p []byte) [][]byte { return [][]byte{h[:40], p} })
	}, "40 bytes"},
	{"endless frame", func(d *driver) {
		spoiled(d, func(h, p []byte) [][]byte { return [][]byte{h, make([]byte, tag.MaxPayload+8)} })
	}, "too large"},
	{"foreign run", func(d *driver) {
		d.send(tag.Block{Kind: tag.Data, Run: tag.RunID{9}, Stream: 1, Tags: []uint64{30}, Until: 30})
	}, "run"},
	{"missing block", func(d *driver) {
		d.send(tag.Block{Kind: tag.Data, Stream: 1, Seq: 1, Tags: []uint64{30}, Until: 30})
	}, "missing"},
	{"back in time", func(d *driver) { d.tags(1, 19) }, "reach"},
	{"tags that are not those of the header", func(d *driver) {
		spoiled(d, func(h, p []byte) [][]byte { p[0]++; return [][]byte{h, p} })
	}, "the header says"},
	{"stream of another driver", func(d *driver) { d.tags(2, 30) }, "this driver brings"},
	{"connection cut", func(d *driver) { d.conn.Close() }, "left before"},
}

// TestBadBlocksEndTheStreamLoudly: the sink gets what was good before, and an
// End; the core blames the driver; another driver is not disturbed.
func TestBadBlocksEndTheStreamLoudly(t *testing.T) {
	for _, test := range badBlocks {
		t.Run(test.name, func(t *testing.T) {
			n := newNode(t)
			a, b, out := n.inlet("alice.tc", 1), n.inlet("bob.tc", 2), n.outlet("sink", 1, 2)
			n.start()
			s := newSink(t, out, 2)
			alice, bob := newDriver(t, a), newDriver(t, b)
			alice.tags(1, 10, 20)
			test.bad(alice)
			bob.tags(2, 5)
			bob.end(2, 100)
			err := n.wait()
			var fault *core.Fault
			if !errors.As(err, &fault) || fault.Sink || fault.Name != "alice.tc" || !strings.Contains(err.Error(), test.says) {
				t.Errorf("the core says %v, want a fault of alice.tc that says %q", err, test.says)
			}
			s.wait(t)
			if !slices.Equal(s.tags[1], []uint64{10, 20}) || s.last[1].Kind != tag.End || s.last[1].Until != 20 {
				t.Errorf("the sink has tags %v and %+v", s.tags[1], s.last[1])
			}
			if !slices.Equal(s.tags[2], []uint64{5}) {
				t.Errorf("the other driver's tags are %v", s.tags[2])
			}
			if c := n.Counts()[0]; c.Err == nil || !c.Ended || c.Tags != 2 {
				t.Errorf("counts %+v", c)
			}
		})
	}
}

// TestTagsBeforeDisorderAreKept: a driver that does not look at its tags loses
// none of those before the first that is too early.
func TestTagsBeforeDisorderAreKept(t *testing.T) {
	for name, c := range map[string]struct {
		tags []uint64
		kept int
	}{
		"in the middle":       {[]uint64{30, 40, 35, 50}, 2},
		"at the second":       {[]uint64{30, 29, 50}, 1},
		"at the last but one": {[]uint64{30, 40, 50, 49, 60}, 3},
		"behind many":         {append(slices.Repeat([]uint64{30}, 40_000), 29, 1<<63), 40_000},
		"from the greatest":   {[]uint64{30, 1<<64 - 1, 0, 1<<64 - 1}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t)
			in, out := n.inlet("alice.tc", 1, 2), n.outlet("sink", 1, 2)
			n.start()
			s := newSink(t, out, 2)
			d := newDriver(t, in)
			d.tags(2, 7)
			d.tags(1, 10, 20)
			d.tags(1, c.tags...)
			err := n.wait()
			var fault *core.Fault
			if !errors.As(err, &fault) || fault.Sink || !strings.Contains(err.Error(), "before its predecessor") {
				t.Errorf("the core says %v", err)
			}
			s.wait(t)
			want := append([]uint64{10, 20}, c.tags[:c.kept]...)
			if !slices.Equal(s.tags[1], want) || s.last[1].Kind != tag.End || s.last[1].Until != want[len(want)-1] {
				t.Errorf("the sink has %d tags of %d and %+v", len(s.tags[1]), len(want), s.last[1])
			}
			if c := n.Counts()[0]; c.Tags != uint64(len(want)) || c.Last != want[len(want)-1] || c.Err == nil {
				t.Errorf("counts %+v", c)
			}
			if !slices.Equal(s.tags[2], []uint64{7}) || s.last[2].Kind != tag.End {
				t.Errorf("the other channel has %v and %+v", s.tags[2], s.last[2])
			}
		})
	}
}

func TestWrongPlansAreRefused(t *testing.T) {
	n := newNode(t)
	n.inlet("alice.tc", 1, 2)
	for name, make := range map[string]func() (string, error){
		"stream twice in one":   func() (string, error) { return n.Inlet("b", []uint16{5, 5}) },
		"stream of another":     func() (string, error) { return n.Inlet("b", []uint16{2}) },
		"no streams":            func() (string, error) { return n.Inlet("b", nil) },
		"a path for a name":     func() (string, error) { return n.Outlet("../b", []uint16{1}) },
		"no name":               func() (string, error) { return n.Outlet("", []uint16{1}) },
		"stream twice in a out": func() (string, error) { return n.Outlet("b", []uint16{1, 1}) },
	} {
		if endpoint, err := make(); err == nil {
			t.Errorf("%s: got %s", name, endpoint)
		}
	}
	n.outlet("sink", 1, 3)
	if err := n.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "stream 3") {
		t.Errorf("a sink without a driver: %v", err)
	}
}
