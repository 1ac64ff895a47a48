//go:build linux

package core_test

import (
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tsrun/sdk/blockio"
	"tsrun/sdk/tag"
)

// TestNoRing: without memory for it, or where another sink has the stream, too, or one that
// did not ask, all blocks come through the socket.
func TestNoRing(t *testing.T) {
	for name, c := range map[string]struct {
		retained      int
		other, silent bool
	}{
		"no memory":    {retained: 1 << 56},
		"another sink": {retained: 1 << 20, other: true},
		"not asked":    {retained: 1 << 20, silent: true},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t)
			n.Retained = c.retained
			in := n.inlet("alice.tc", 1)
			raw, ring := n.kept("raw", 1)
			var witness *sink
			if c.other {
				witness = newSink(t, n.outlet("other", 1), 1)
			}
			n.start()
			if !c.silent {
				if _, err := blockio.OpenRing(t.Context(), ring); err == nil {
					t.Error("there is a ring")
				}
			}
			s := newSink(t, raw, 1)
			newDriver(t, in).rows(1, 20, longTags)
			s.wait(t)
			if c.other {
				witness.wait(t)
			}
			if err := n.wait(); err != nil || !slices.Equal(s.tags[1], row(0, 20*longTags)) {
				t.Errorf("%d tags; %v", len(s.tags[1]), err)
			}
		})
	}
}

// stallingWay forwards so many bytes to an endpoint, and the rest when goOn is closed.
func stallingWay(t *testing.T, endpoint string, bytes int64, goOn chan struct{}) (through string) {
	t.Helper()
	through = filepath.Join(t.TempDir(), "way")
	l, err := net.Listen("unix", through)
	if err != nil {
		t.Fatal(err)
	}
	forwarded := make(chan struct{})
	go func() {
		defer close(forwarded)
		from, err := l.Accept()
		if err != nil {
			return
		}
		defer from.Close()
		to, err := net.Dial("unix", strings.TrimPrefix(endpoint, "ipc://"))
		if err != nil {
			return
		}
		defer to.Close()
		go io.Copy(from, to) // the core's part of the greeting; ends with them
		if _, err := io.CopyN(to, from, bytes); err != nil {
			return
		}
		<-goOn
		_, _ = io.Copy(to, from)
	}()
	t.Cleanup(func() { l.Close(); <-forwarded })
	return "ipc://" + through
}

// TestADriverStallsInTheRing: one that stops in the middle of a block holds up nobody else's.
func TestADriverStallsInTheRing(t *testing.T) {
	n := newNode(t)
	n.Retained = 1 << 20
	first, second := n.inlet("alice.tc", 1), n.inlet("bob.tc", 2)
	raw, ring := n.kept("raw", 1, 2)
	n.start()
	s := readInPlace(t, raw, ring)
	goOn := make(chan struct{})
	stalls := newDriver(t, stallingWay(t, first, longTags*tag.Size*3/2, goOn))
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		stalls.rows(1, 2, longTags)
	}()
	if b, _ := s.next(); b.Stream != 1 {
		t.Fatalf("%+v", b)
	}
	d := newDriver(t, second)
	began, next := time.Now(), uint64(0)
	for bySocket := 0; bySocket < 10; next += longTags { // until the ring is full, and on
		if time.Since(began) > patience {
			t.Fatal("the ring was never full")
		}
		d.tags(2, row(next, longTags)...)
		b, named := s.next()
		if b.Stream != 2 || b.Tags[0] != next {
			t.Fatalf("tag %d of stream %d, want %d of 2", b.Tags[0], b.Stream, next)
		}
		if !named {
			bySocket++
		}
	}
	close(goOn)
	<-sent
	d.end(2, next)
	for open := 2; open > 0; {
		if b, _ := s.next(); b.Kind == tag.End {
			open--
		}
	}
	stalls.conn.Close()
	if err := n.wait(); err != nil {
		t.Error(err)
	}
}

// TestBadBlockInTheRing: of a block in disorder the sink reads what was good, in place.
func TestBadBlockInTheRing(t *testing.T) {
	n := newNode(t)
	n.Origin = 7
	in := n.inlet("alice.tc", 1)
	raw, ring := n.kept("raw", 1)
	n.start()
	s := readInPlace(t, raw, ring)
	tags := row(5, 2*few)
	tags[few+1] = 0
	d := newDriver(t, in)
	d.tags(1, tags...)
	if b, named := s.next(); !named || !slices.Equal(b.Tags, row(12, few+1)) {
		t.Errorf("%d tags, named %v", len(b.Tags), named)
	}
	if b, _ := s.next(); b.Kind != tag.End {
		t.Errorf("%+v", b)
	}
	if err := n.wait(); err == nil || !strings.Contains(err.Error(), "before its predecessor") {
		t.Errorf("the core says %v", err)
	}
}
